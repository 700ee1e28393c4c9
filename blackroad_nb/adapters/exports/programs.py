"""Programs that convert: pandoc and TeX, held to limits of their own.

The worker's caller kills all of them when time is up. Should that caller be gone, the
limits on processor time and on the size of a file end what would run or write for ever.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from blackroad_nb.errors import ExportFailed

PROCESSOR_SECONDS = 300
FILE_BLOCKS = 1_000_000  # of 512 bytes; a shell's unit

_LIMITED = f'ulimit -t {PROCESSOR_SECONDS}; ulimit -f {FILE_BLOCKS}; exec "$@"'


def run_program(
    command: Sequence[str],
    *,
    given: bytes = b"",
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end, whatever its exit code, and return what it said."""
    limited = ["/bin/sh", "-c", _LIMITED, "sh", *command] if os.name == "posix" else list(command)
    return subprocess.run(
        limited, input=given, capture_output=True, cwd=folder, env=env, check=False
    )


def run_pandoc(
    source: str, from_format: str, to_format: str, extra_args: Sequence[str] | None = None
) -> str:
    """Convert a cell's text; a filter of nbconvert's templates.

    pandoc's LaTeX reader includes files, and its HTML reader fetches frames: its sandbox,
    where it has one, keeps it from both.

    Raises:
        ExportFailed: pandoc says no.
    """
    options = [*_sandbox(), "-f", from_format, "-t", to_format, *(extra_args or ())]
    done = run_program(["pandoc", *options], given=source.encode("utf-8", "replace"))
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise ExportFailed(
            f"pandoc could not convert a cell from {from_format[:40]} to {to_format}: "
            f"{said[0][:200].rstrip('.')}."
        )
    return done.stdout.decode("utf-8", "replace").rstrip("\n")


@cache
def _sandbox() -> tuple[str, ...]:
    """Source: https://pandoc.org/releases.html (2.15 added `--sandbox`)."""
    options = run_program(["pandoc", "--help"]).stdout
    return ("--sandbox",) if b"--sandbox" in options else ()
