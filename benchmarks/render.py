"""Put the tables of docs/performance.md where they belong, from the raw results.

    python benchmarks/render.py [--check]
    python benchmarks/render.py --measure [NAME ...]

The page has a pair of markers for each benchmark. What stands between them is written
from `benchmarks/results/NAME.json`, never by hand. `--check` writes nothing and exits
with 1 when page and results differ. `--measure` runs the benchmarks that are named (all,
if none is) one after the other before it writes; that takes about an hour, on a machine
that should do nothing else. One that fails is reported, and the others still run.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

from report import RESULTS, ROOT

PAGE = ROOT / "docs" / "performance.md"
BLOCK = re.compile(r"(<!-- results of (\w+) -->\n).*?(<!-- end of results -->)", re.DOTALL)


def rendered(page: str, results: Path = RESULTS) -> str:
    """Return the page with the tables that the result files give."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{_tables(found[2], results)}\n\n{found[3]}", page)


def names(page: str) -> list[str]:
    """Return the benchmarks whose results the page shows."""
    return [found[2] for found in BLOCK.finditer(page)]


def _tables(name: str, results: Path) -> str:
    file = results / f"{name}.json"
    if not file.exists():
        return f"Not measured yet: `python benchmarks/{name}.py` does."
    text: str = importlib.import_module(name).tables(json.loads(file.read_text()))
    return f"{text}\nRaw results: [{file.name}](../benchmarks/results/{file.name})."


def measure(chosen: list[str]) -> list[str]:
    """Run benchmarks to their end; return those that failed."""
    here = Path(__file__).resolve().parent
    return [
        name for name in chosen if subprocess.run([sys.executable, here / f"{name}.py"]).returncode
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    parser.add_argument("--measure", nargs="*", metavar="NAME", help="run these benchmarks first")
    options = parser.parse_args()
    page = PAGE.read_text()
    failed = measure(options.measure or names(page)) if options.measure is not None else []
    new = rendered(page)
    if options.check:
        print("The page agrees with the results." if new == page else "The page differs.")
        return int(new != page)
    PAGE.write_text(new)
    for name in failed:
        print(f"{name} failed; the page keeps its last results", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
