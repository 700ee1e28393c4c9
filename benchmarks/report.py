"""What every benchmark says about itself, and where its raw results go.

A benchmark prints a header (commit, versions, processor, load), measures, writes every
round to `benchmarks/results/NAME.json`, and prints its tables. The tables are made from
that file alone, so that `render.py` can put the same tables into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
# A result file and the page that shows it do not change what is measured.
_PRODUCTS = (":!benchmarks/results", ":!docs/performance.md")
_SCALARS = re.compile(r"\[\s+([^\[\]{}]*?)\s+\]")

Result = dict[str, Any]


class Report:
    """The header and the result file of one run of a benchmark.

    Args:
        name: of the benchmark's module; also the name of its result file.
        options: what was chosen on the command line; numbers are kept as settings.
        packages: whose versions decide what the figures are worth.
    """

    def __init__(self, name: str, options: argparse.Namespace, packages: Sequence[str]) -> None:
        self._file = Path(options.results) / f"{name}.json"
        self._settings = {
            key: value for key, value in vars(options).items() if isinstance(value, int | float)
        }
        compile_bytecode()
        self._header = header(packages)
        print("\n".join(f"{key}: {value}" for key, value in self._header.items()), file=sys.stderr)

    def save(self, found: Result) -> Result:
        """Write every round, and return the whole result."""
        self._header["load after"] = round(os.getloadavg()[0], 2)
        result = {"header": self._header, "settings": self._settings, "found": found}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(_json(result))
        return result


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the option that all benchmarks have."""
    made = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    made.add_argument(
        "--results", default=RESULTS, help="folder for the raw results (benchmarks/results)"
    )
    return made


def compile_bytecode() -> None:
    """Let every package be as pip installs it: with compiled bytecode that is used.

    Where nothing has written bytecode, each process compiles all that it imports, which
    takes longer than most of what is measured here.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    places = [sysconfig.get_path("purelib"), str(ROOT / "blackroad_nb"), str(ROOT / "benchmarks")]
    # Some packages hold templates that are no Python; pip passes over them too.
    subprocess.run([sys.executable, "-m", "compileall", "-qq", *places])


def header(packages: Sequence[str]) -> Result:
    """Say what is measured and on which machine, without naming the machine or its user."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _git("rev-parse", "--short=10", "HEAD") or "unknown",
        "changed files": len(_git("status", "--porcelain", "--", ".", *_PRODUCTS).splitlines()),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory GiB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in ("blackroad-nb", *packages)},
    }


def caption(result: Result) -> str:
    """Say in one line under a table where its figures come from."""
    head = result["header"]
    packages = ", ".join(f"{name} {number}" for name, number in head["packages"].items())
    changed = head["changed files"]
    state = f" with {changed} changed files" if changed else ""
    settings = ", ".join(f"{key} {value}" for key, value in result["settings"].items())
    return (
        f"{head['date']}, commit {head['commit']}{state}; {head['cores']} cores of"
        f" {head['processor']}, load {head['load before']} before and {head['load after']} after;"
        f" Python {head['python']}, {packages}; {settings}."
    )


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(line)} |" for line in (head, *rows)]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join(lines)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _json(result: Result) -> str:
    """Write lists of numbers on one line, and no more digits than were measured."""
    text = json.dumps(_rounded(result), indent=1)
    return _SCALARS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value
