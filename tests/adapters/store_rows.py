"""Rows for the store's tests, and processes that write them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.search import vocabulary

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(name: object, **changes: object) -> Execution:
    """Return a finished execution."""
    values: dict[str, object] = {
        "id": str(name),
        "status": Status.SUCCESS,
        "source": f"print('{name}')",
        "started_at": NOON,
        "finished_at": NOON + timedelta(milliseconds=5),
        "duration_ms": 5,
        **changes,
    }
    return Execution(**values)  # type: ignore[arg-type]


def problems(path: Path) -> list[str]:
    """Return what is wrong with a database: its structure, its links, its text indexes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        found = [text for (text,) in connection.execute("PRAGMA integrity_check")]
        found += [str(link) for link in connection.execute("PRAGMA foreign_key_check")]
        for index in ("executions_text", "words_letters"):
            try:
                connection.execute(
                    f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)"
                )
            except sqlite3.DatabaseError as error:
                found.append(f"{index}: {error}")
        known = {word for (word,) in connection.execute("SELECT word FROM words")}
        rows = connection.execute("SELECT source, error FROM executions")
        if lost := vocabulary(text for row in rows for text in row if text) - known:
            found.append(f"words that no part finds: {lost}")
        (used,) = connection.execute("SELECT sum(executions) FROM usage_days").fetchone()
        (events,) = connection.execute("SELECT count(*) FROM usage_events").fetchone()
        if (used or 0) != events:
            found.append(f"usage: {used} summed, {events} events")
    return [text for text in found if text != "ok"]


@contextmanager
def mounted(folder: Path, size: str = "8m") -> Iterator[Path]:
    """A small file system of its own; skips, saying so, where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", os.fspath(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"cannot mount a small file system: {done.stderr}")
        pytest.skip(f"cannot mount a small file system: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", os.fspath(folder)], check=True)


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", os.fspath(folder)], check=True)


def fill_up(folder: Path) -> None:
    """Leave no free page on the disk."""
    with (folder / "ballast").open("wb", buffering=0) as ballast:
        for size in (64 * 1024, 512):
            try:
                while True:
                    ballast.write(b"x" * size)
            except OSError:
                continue


@contextmanager
def python(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a script in a process of its own, killed at the end if it runs still."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, stdin=pipe, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
