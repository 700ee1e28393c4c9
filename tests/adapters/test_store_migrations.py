"""Every schema that was ever released opens, is brought up to date and keeps its rows.

`schemas/<n>.sql` is a dump of a database of schema n as it was released, with rows.
It is never edited; a new migration comes with a new dump of what it makes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from store_rows import problems, python, row

from blackroad_nb.adapters.sqlite import opening
from blackroad_nb.adapters.sqlite.opening import migrations, split_statements
from blackroad_nb.adapters.sqlite.reader import SqliteReader
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.core.execution import Status
from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.core.usage import UsageQuery
from blackroad_nb.errors import StoreError

SCHEMAS = Path(__file__).parent / "schemas"
RELEASED = sorted(int(path.stem) for path in SCHEMAS.glob("*.sql"))


def schema_of(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        ).fetchall()


def released(number: int, path: Path) -> Path:
    """Make a database as that release left it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in split_statements((SCHEMAS / f"{number}.sql").read_text("utf-8")):
            connection.execute(statement)
    return path


def test_each_schema_has_its_frozen_dump():
    assert list(range(1, len(migrations()) + 1)) == RELEASED


@pytest.mark.parametrize("number", RELEASED)
def test_a_released_schema_becomes_the_fresh_one_and_keeps_its_rows(tmp_path, number):
    async def scenario() -> None:
        fresh = await SqliteStore.open(tmp_path / "fresh.db")
        await fresh.close()
        old = await SqliteStore.open(released(number, tmp_path / "old.db"))
        listed = (await old.list_notebooks()).items
        assert [n.name for n in listed] == ["ran by itself", "Prices"]
        assert listed[1].metadata == {"tag": "ünïcode"}
        history = (await old.history(HistoryQuery())).items
        assert [e.id for e in history] == ["execution-3", "execution-2", "execution-1"]
        for text in ("needle", "eedl", "yerr", "raceb"):
            assert (await old.history(HistoryQuery(text=text))).items == (history[1],)
        assert [(t.key, t.executions) for t in await old.usage(UsageQuery("user"))] == [
            (None, 1),
            ("ada", 3),
        ]
        assert (await old.get_run("run-1")).cells[0].execution_id == "execution-1"
        assert [k.name for k in await old.list_kernels()] == ["julia"]
        await old.close()

    asyncio.run(scenario())
    assert schema_of(tmp_path / "old.db") == schema_of(tmp_path / "fresh.db")
    assert problems(tmp_path / "old.db") == []


@pytest.mark.parametrize("number", RELEASED)
def test_the_reader_opens_a_released_schema_too(tmp_path, number):
    with SqliteReader(released(number, tmp_path / "old.db")) as reader:
        assert len(reader.list_notebooks().items) == 2
        assert len(reader.history(HistoryQuery(text="needle")).items) == 1


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = released(1, tmp_path / "n.db")
    schema = schema_of(path)
    broken = "CREATE TABLE half (x);\nINSERT INTO nowhere VALUES (1);\n"
    monkeypatch.setattr(opening, "migrations", lambda schema: (*migrations(schema), broken))
    with pytest.raises(StoreError, match="nowhere"):
        asyncio.run(SqliteStore.open(path))
    assert schema_of(path) == schema
    monkeypatch.undo()
    with SqliteReader(path) as reader:
        assert len(reader.list_notebooks().items) == 2


def with_rows(path: Path, count: int) -> Path:
    """Make a database of the first schema that holds `count` more rows."""
    released(1, path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            "INSERT INTO executions (id, source, output, status, started_at, path)"
            " VALUES (?, ?, ?, 'success', '2026-03-02T12:00:00.000000+00:00', '/data/x.ipynb')",
            [(f"row-{n}", f"DataFrame({n})" + " x" * 1000, "[]") for n in range(count)],
        )
        connection.commit()
    return path


def test_a_migration_that_is_killed_loses_nothing(tmp_path):
    """The process dies in the middle of its transaction, whose pages are on the disk already."""
    path = with_rows(tmp_path / "n.db", 5000)
    log = Path(f"{path}-wal")
    with python(OPENER, path, "late") as opener:
        opener.stdin.write("go\n")
        opener.stdin.flush()
        deadline = time.monotonic() + 60
        while not (log.exists() and log.stat().st_size > 2_000_000):
            assert time.monotonic() < deadline
            assert opener.poll() is None
        opener.kill()
        opener.wait()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM executions").fetchone() == (5003,)

    async def scenario() -> None:
        store = await SqliteStore.open(path)
        seen = {e.id async for e in store.stream_history(HistoryQuery(text="Frame"))}
        assert seen == {f"row-{n}" for n in range(5000)}
        await store.record([row("new")])
        newest = (await store.history(HistoryQuery(limit=1))).items[0]
        assert newest.seq == 5005  # no number is given twice
        await store.close()

    asyncio.run(scenario())
    assert problems(path) == []


def test_statements_end_where_sqlite_says_they_do():
    script = (
        "-- a comment; with a semicolon\nCREATE TABLE t (x);\n\n"
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN\n    DELETE FROM t;\nEND;\nDROP TABLE t;\n"
    )
    assert [part.split()[-1] for part in split_statements(script)] == ["(x);", "END;", "t;"]


OPENER = """
import asyncio, sys
from pathlib import Path
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.core.execution import Execution, Status
from datetime import datetime, UTC

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    store = await SqliteStore.open(Path(sys.argv[1]))
    now = datetime.now(UTC)
    mine = Execution(sys.argv[2], Status.SUCCESS, "x", now, now, 1, path="/data/x.ipynb")
    await store.record([mine])
    await store.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("start", ["nothing", "empty file", "released schema"])
@pytest.mark.parametrize("count", [2, 8])
def test_processes_that_open_a_file_at_once_all_succeed(tmp_path, count, start):
    path = tmp_path / "n.db"
    if start == "empty file":
        path.touch()
    elif start == "released schema":
        released(1, path)
    with ExitStack() as stack:
        openers = [stack.enter_context(python(OPENER, path, f"by-{n}")) for n in range(count)]
        for opener in openers:
            assert opener.stdout.readline() == "ready\n"
        for opener in openers:
            opener.stdin.write("go\n")
            opener.stdin.flush()
        for opener in openers:
            _, said = opener.communicate(timeout=60)
            assert (opener.returncode, said) == (0, "")
    with SqliteReader(path) as reader:
        recorded = reader.history(HistoryQuery(limit=100)).items
        assert {e.id for e in recorded} >= {f"by-{n}" for n in range(count)}
        assert [n.path for n in reader.list_notebooks().items].count("/data/x.ipynb") == 1
    assert problems(path) == []


def test_triggers_fire_when_a_notebook_takes_its_rows_along(tmp_path):
    """A cascade must keep the text index in step, else searches find ghosts."""

    async def scenario() -> None:
        store = await SqliteStore.open(tmp_path / "n.db")
        await store.record([row(n, path="/data/x.ipynb") for n in range(10)])
        await store.record([row("stays", status=Status.ERROR, error="needle")])
        await store.close()

    asyncio.run(scenario())
    with closing(sqlite3.connect(tmp_path / "n.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM notebooks")
        (matching,) = connection.execute(
            "SELECT count(*) FROM executions_text WHERE executions_text MATCH 'print'"
        ).fetchone()
    assert matching == 1
    assert problems(tmp_path / "n.db") == []
