"""The real program in a subprocess, with a database and a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(sys.executable).parent / "blackroad-nb"
SECONDS = 60


@dataclass(frozen=True)
class Done:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line on stderr of a command that failed."""
        assert self.code != 0, self.out
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("blackroad-nb: ")
        assert "Traceback" not in self.err
        assert "unexpected" not in self.err
        return lines[0].removeprefix("blackroad-nb: ")


@dataclass(frozen=True)
class CommandLine:
    """Runs commands in `folder`; `environment` is added to the tests' own."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        return {**os.environ, "NOTEBOOK_DB": str(self.folder / "notebooks.db"), **self.environment}

    def __call__(self, *words: str, program: Sequence[str] = (str(SCRIPT),)) -> Done:
        done = subprocess.run(
            [*program, *words],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def popen(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        options.setdefault("preexec_fn", _hear_signals)
        return subprocess.Popen(
            [str(SCRIPT), *words],
            cwd=self.folder,
            env=self.variables,
            text=True,
            encoding="utf-8",
            **options,
        )


def _hear_signals() -> None:
    """Undo `nohup` and a shell's `&`, under which the tests may run."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


WriteNotebook = Callable[..., str]


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.fixture
def write_notebook(tmp_path: Path) -> WriteNotebook:
    """Write `<name>.ipynb` with these code cells and return its path."""

    def write(name: str, *sources: str, tags: Mapping[int, Sequence[str]] | None = None) -> str:
        cells = [
            {
                "cell_type": "code",
                "id": f"cell-{index}",
                "metadata": {"tags": list((tags or {}).get(index, ()))},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for index, source in enumerate(sources)
        ]
        kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        document = {
            "cells": cells,
            "metadata": {"kernelspec": kernelspec},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        path = tmp_path / f"{name}.ipynb"
        path.write_text(json.dumps(document))
        return str(path)

    return write
