"""The log of sessions: one contract for the file and the memory, and what befalls a file."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from store_rows import mounted, python, remount

from blackroad_nb.adapters.memory_servers import MemoryServerLog
from blackroad_nb.adapters.sqlite import opening
from blackroad_nb.adapters.sqlite.opening import prepare, split_statements
from blackroad_nb.adapters.sqlite.servers import SESSIONS, SqliteServerLog
from blackroad_nb.core.server import ServerRecord, ServerState
from blackroad_nb.errors import (
    SessionNotFound,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreTooNew,
)
from blackroad_nb.ports import ServerLog

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
LONGER = int(os.environ.get("BLACKROAD_SURVIVAL", "1"))


def session(number: int, **changes: object) -> ServerRecord:
    made = ServerRecord(
        id=f"session-{number}",
        user="ada",
        server_name="",
        profile="standard",
        template=None,
        state=ServerState.RUNNING,
        started_at=NOON + timedelta(seconds=number),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture(params=["sqlite", "memory"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerLog]:
    made: ServerLog
    made = SqliteServerLog(tmp_path / "s.db") if request.param == "sqlite" else MemoryServerLog()
    yield made
    made.close()


# the contract --------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        session(1),
        session(
            2,
            user="o'brien@example.com; DROP TABLE sessions",
            server_name="näme / \N{PILE OF POO}\0%",
            template="alpha-research",
            state=ServerState.ERROR,
            ready_at=NOON,
            ended_at=NOON + timedelta(days=3),
            reason="out_of_memory",
            message="It used more than 8 GB.",
            exit_code=-9,
        ),
    ],
)
def test_what_is_put_comes_back(log, record):
    log.put(record)
    assert log.get(record.id) == record
    assert log.last(record.user, record.server_name) == record
    assert log.list() == (record,)


def test_times_of_any_zone_come_back_in_utc(log):
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-8)))
    log.put(session(0, started_at=elsewhere, ready_at=elsewhere, ended_at=elsewhere))
    found = log.get("session-0")
    assert {found.started_at, found.ready_at, found.ended_at} == {NOON}
    assert found.started_at.tzinfo is UTC


def test_putting_again_replaces_and_keeps_the_place(log):
    log.put(session(1))
    log.put(session(2, started_at=session(1).started_at))
    log.put(session(1, state=ServerState.STOPPED, reason="user"))
    assert [r.id for r in log.list()] == ["session-2", "session-1"]
    assert log.get("session-1").reason == "user"


def test_an_unknown_session_is_told(log):
    with pytest.raises(SessionNotFound, match="nowhere"):
        log.get("nowhere")
    assert log.last("ada", "") is None
    assert log.list() == ()


def test_the_last_session_of_a_server_is_the_newest_whatever_became_of_it(log):
    log.put(session(3, state=ServerState.ERROR))
    log.put(session(1))
    log.put(session(5, server_name="other"))
    log.put(session(6, user="bob"))
    assert log.last("ada", "").id == "session-3"
    assert log.last("ada", "other").id == "session-5"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"limit": 2}, [5, 4]),
        ({"limit": 0}, []),
        ({"limit": -1}, []),
        ({"user": "ada"}, [5, 3, 1]),
        ({"user": "nobody"}, []),
        ({"ended": True}, [5, 4]),
        ({"ended": False}, [3, 2, 1]),
        ({"user": "ada", "ended": True}, [5]),
        ({"user": "ada", "ended": False}, [3, 1]),
        ({"user": "ada", "ended": False, "limit": 1}, [3]),
    ],
)
def test_lists_come_newest_first_and_filtered(log, asked, expected):
    states = ["starting", "stopping", "running", "stopped", "error"]
    for number in (4, 2, 5, 1, 3):
        user = "ada" if number % 2 else "bob"
        log.put(session(number, user=user, state=ServerState(states[number - 1])))
    assert [r.id for r in log.list(**asked)] == [f"session-{n}" for n in expected]


# the file ------------------------------------------------------------------------


def test_another_process_reads_what_was_written(tmp_path):
    writer, reader = (SqliteServerLog(tmp_path / "s.db", read_only=only) for only in (False, True))
    assert reader.list() == ()  # nothing there yet, and nothing made
    assert list(tmp_path.iterdir()) == []
    writer.put(session(1))
    assert [r.id for r in reader.list()] == ["session-1"]
    with pytest.raises(StoreReadOnly):
        reader.put(session(2))
    writer.put(session(3))
    assert [r.id for r in reader.list()] == ["session-3", "session-1"]
    writer.close()
    assert reader.get("session-3").user == "ada"
    reader.close()


def test_a_deleted_or_replaced_file_is_noticed(tmp_path):
    path = tmp_path / "s.db"
    log = SqliteServerLog(path)
    log.put(session(1))
    log.close()
    shutil.copy(path, tmp_path / "backup")
    log.put(session(2))
    for left in tmp_path.glob("s.db*"):
        left.unlink()
    log.put(session(3))
    assert [r.id for r in log.list()] == ["session-3"]
    for left in tmp_path.glob("s.db*"):
        left.unlink()
    os.replace(tmp_path / "backup", path)
    assert [r.id for r in log.list()] == ["session-1"]
    log.close()


def test_threads_take_turns(tmp_path):
    log = SqliteServerLog(tmp_path / "s.db")
    faults: list[Exception] = []

    def write(thread: int) -> None:
        try:
            for number in range(50):
                log.put(session(thread * 100 + number))
                log.list(limit=3)
        except Exception as fault:  # shown by the assertion below
            faults.append(fault)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(log.list(limit=1000)) == 200
    log.close()


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from blackroad_nb.adapters.sqlite.servers import SqliteServerLog
from blackroad_nb.core.server import ServerRecord, ServerState, ServerEvent, after

log = SqliteServerLog(Path(sys.argv[1]))
number = 0
while True:
    now = datetime.now(UTC)
    made = ServerRecord(f"{sys.argv[2]}-{number}", "ada", "", "p", None, ServerState.STARTING, now)
    log.put(made)
    log.put(after(made, ServerEvent.READY, now))
    print(made.id, flush=True)  # only now is it acknowledged
    number += 1
"""


@pytest.mark.survival
@pytest.mark.timeout(60 + 20 * LONGER)
def test_killed_writers_lose_nothing_acknowledged(tmp_path):
    path = tmp_path / "s.db"
    chance = random.Random(LONGER)
    acknowledged: set[str] = set()
    for kill in range(5 * LONGER):
        with python(WRITER, path, f"writer{kill}") as writer:
            first = writer.stdout.readline()
            assert first, writer.stderr.read()
            time.sleep(chance.random() * 0.2)  # the moment of death is the point here
            writer.kill()
            said = [first, *writer.stdout.read().splitlines(keepends=True)]
        acknowledged |= {line.strip() for line in said if line.endswith("\n")}
        with closing(SqliteServerLog(path, read_only=True)) as log:  # others read at once
            found = {r.id for r in log.list(limit=10**6) if r.state is ServerState.RUNNING}
        assert acknowledged - found == set()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# faults --------------------------------------------------------------------------


def filled(path: Path, rows: int = 300) -> Path:
    with closing(SqliteServerLog(path)) as log:
        for number in range(rows):
            log.put(session(number, message="x" * 100))
    return path


def read_only(path: Path) -> SqliteServerLog:
    return SqliteServerLog(path, read_only=True)


EITHER = pytest.mark.parametrize("open_", [SqliteServerLog, read_only])
Opened = Callable[[Path], SqliteServerLog]


def refused(path: Path, kind: type[StoreError], open_: Opened) -> str:
    before = path.read_bytes() if path.is_file() else None
    log = open_(path)
    with pytest.raises(StoreError) as caught:
        log.list()
    log.close()
    assert type(caught.value) is kind
    assert str(path) in caught.value.message
    assert "--db" not in caught.value.message  # that is another file's option
    if before is not None:
        assert path.read_bytes() == before
    return caught.value.message


@EITHER
def test_a_newer_schema_is_left_alone(tmp_path, open_):
    path = filled(tmp_path / "s.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 4711")
    assert "4711" in refused(path, StoreTooNew, open_)


@EITHER
@pytest.mark.parametrize(
    "content",
    [b"This is a text.\n" * 600, b"\0" * 9000, b"SQLite format 3\0" + b"\xff" * 9000],
    ids=["text", "zeros", "false header"],
)
def test_a_file_that_is_no_database_is_left_alone(tmp_path, open_, content):
    path = tmp_path / "s.db"
    path.write_bytes(content)
    assert "move the file away" in refused(path, StoreCorrupt, open_)


@EITHER
@pytest.mark.parametrize("kept", [100, 5000, -1])
def test_a_file_cut_short_is_left_alone(tmp_path, open_, kept):
    path = filled(tmp_path / "s.db")
    path.write_bytes(path.read_bytes()[:kept])
    refused(path, StoreCorrupt, open_)


@EITHER
def test_the_database_of_notebooks_is_not_taken_for_it(tmp_path, open_):
    prepare(tmp_path / "notebooks.db")
    assert "another program" in refused(tmp_path / "notebooks.db", StoreError, open_)


@EITHER
def test_a_folder_is_no_database(tmp_path, open_):
    assert "is a folder" in refused(tmp_path, StoreError, open_)


def test_a_row_that_is_no_session_is_told(tmp_path):
    path = filled(tmp_path / "s.db", rows=1)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE sessions SET started_at = 'yesterday'")
    log = SqliteServerLog(path)
    with pytest.raises(StoreCorrupt, match="yesterday"):
        log.list()
    log.close()


def test_a_damaged_file_is_told_and_used_again_when_mended(tmp_path):
    path = filled(tmp_path / "s.db", rows=2000)
    shutil.copy(path, tmp_path / "backup")
    log = SqliteServerLog(path)
    assert len(log.list()) == 50
    log.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xaa" * 4096 * 60)
    with pytest.raises(StoreCorrupt):
        log.list(limit=10_000)
    os.replace(tmp_path / "backup", path)
    log.put(session(9999))
    assert log.list(limit=1)[0].id == "session-9999"
    log.close()


def test_a_disk_that_turns_read_only_is_told_and_recovers(tmp_path):
    with mounted(tmp_path / "disk") as disk:
        log = SqliteServerLog(filled(disk / "s.db"))
        log.close()
        remount(disk, "ro")
        with pytest.raises(StoreReadOnly, match="another state folder"):
            log.put(session(1000))
        reader = read_only(disk / "s.db")  # WAL needs room for its shared memory
        with pytest.raises(StoreReadOnly):
            reader.list()
        remount(disk, "rw")
        log.put(session(1000))
        assert log.list(limit=1) == reader.list(limit=1) == (log.get("session-1000"),)
        reader.close()
        log.close()


def test_a_full_disk_loses_nothing_acknowledged_and_recovers_by_itself(tmp_path):
    with mounted(tmp_path / "disk", size="2m") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 512 * 1024)
        log = SqliteServerLog(disk / "s.db")
        acknowledged, refusals = 0, 0
        while refusals < 5:
            try:
                log.put(session(acknowledged, message="x" * 2000))
                acknowledged += 1
            except StoreFull:
                refusals += 1
        assert len(log.list(limit=10**6)) == acknowledged > 0
        ballast.unlink()
        log.put(session(10**6))
        assert len(log.list(limit=10**6)) == acknowledged + 1
        log.close()


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_busy_file_keeps_the_hub_waiting_only_shortly(tmp_path):
    path = filled(tmp_path / "s.db")
    log = SqliteServerLog(path, busy_seconds=0.2)
    log.list()
    with python(HOLDER, path) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy):
            log.put(session(1000))
        assert len(log.list()) == 50  # reading goes on
    log.put(session(1000))
    log.close()


# migrations ----------------------------------------------------------------------

SCHEMAS = Path(__file__).parent / "session_schemas"
RELEASED = sorted(int(path.stem) for path in SCHEMAS.glob("*.sql"))


def schema_of(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        ).fetchall()


def released(number: int, path: Path) -> Path:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in split_statements((SCHEMAS / f"{number}.sql").read_text("utf-8")):
            connection.execute(statement)
    return path


def test_each_schema_has_its_frozen_dump():
    assert list(range(1, len(opening.migrations(SESSIONS)) + 1)) == RELEASED


@pytest.mark.parametrize("number", RELEASED)
def test_a_released_schema_becomes_the_fresh_one_and_keeps_its_rows(tmp_path, number):
    filled(tmp_path / "fresh.db", rows=1)
    with closing(SqliteServerLog(released(number, tmp_path / "old.db"))) as log:
        assert [(r.id, r.state.value, r.exit_code) for r in log.list()] == [
            ("second", "running", None),
            ("first", "error", 137),
        ]
        log.put(session(1))
    assert schema_of(tmp_path / "old.db") == schema_of(tmp_path / "fresh.db")


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = filled(tmp_path / "s.db", rows=3)
    schema = schema_of(path)
    broken = "CREATE TABLE half (x);\nINSERT INTO nowhere VALUES (1);\n"
    whole = opening.migrations(SESSIONS)
    monkeypatch.setattr(opening, "migrations", lambda _schema: (*whole, broken))
    log = SqliteServerLog(path)
    with pytest.raises(StoreError, match="nowhere"):
        log.list()
    assert schema_of(path) == schema
    monkeypatch.undo()
    assert len(log.list()) == 3
    log.close()


def test_a_reader_of_an_older_schema_says_who_brings_it_up_to_date(tmp_path, monkeypatch):
    path = filled(tmp_path / "s.db", rows=1)
    monkeypatch.setattr(
        "blackroad_nb.adapters.sqlite.servers.migrations", lambda _schema: ("one", "two")
    )
    with closing(read_only(path)) as log, pytest.raises(StoreError, match="start the hub"):
        log.list()
