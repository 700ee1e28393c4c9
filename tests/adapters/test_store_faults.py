"""What goes wrong with a database: each fault gets one sentence and does no damage."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from store_rows import mounted, problems, python, remount, row

from blackroad_nb.adapters.sqlite import connection as connection_module
from blackroad_nb.adapters.sqlite import database, glance, opening
from blackroad_nb.adapters.sqlite.faults import store_error
from blackroad_nb.adapters.sqlite.opening import on_network
from blackroad_nb.adapters.sqlite.reader import SqliteReader
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.errors import (
    BlackRoadError,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreTooNew,
)

PAGE = 4096


def filled(path: Path, rows: int = 2000) -> Path:
    async def fill() -> None:
        store = await SqliteStore.open(path)
        await store.record([row(n, path="/data/x.ipynb") for n in range(rows)])
        await store.close()

    asyncio.run(fill())
    return path


def opened_and_closed(path: Path, **options: float) -> None:
    async def scenario() -> None:
        store = await SqliteStore.open(path, **options)  # type: ignore[arg-type]
        await store.close()

    asyncio.run(scenario())


def read_by_command(path: Path) -> int:
    with SqliteReader(path) as reader:
        return len(reader.list_notebooks().items)


def refused(path: Path, kind: type[StoreError], open_: Callable[[Path], object]) -> str:
    """Open a bad file; returns what was said, having looked that nothing was changed."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(BlackRoadError) as caught:
        open_(path)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert "Traceback" not in message
    if before is not None:
        assert path.read_bytes() == before
    return message


EITHER = pytest.mark.parametrize("open_", [opened_and_closed, read_by_command])


# files that are not what they should be ------------------------------------------


@EITHER
def test_a_newer_schema_is_left_alone(tmp_path, open_):
    path = filled(tmp_path / "n.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 4711")
    assert "4711" in refused(path, StoreTooNew, open_)


@EITHER
@pytest.mark.parametrize(
    "content",
    [
        b"This is a text.\n" * 600,
        b"\0" * 9000,
        os.urandom(9000),
        b"SQLite format 3\0" + b"\xff" * 9000,
    ],
    ids=["text", "zeros", "noise", "false header"],
)
def test_a_file_that_is_no_database_is_left_alone(tmp_path, open_, content):
    path = tmp_path / "n.db"
    path.write_bytes(content)
    assert "move the file away" in refused(path, StoreCorrupt, open_)


@EITHER
@pytest.mark.parametrize("kept", [100, 5000, PAGE * 3, 0.5, -1])
def test_a_file_cut_short_is_left_alone(tmp_path, open_, kept):
    path = filled(tmp_path / "n.db")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    refused(path, StoreCorrupt, open_)


@EITHER
def test_another_programs_database_is_left_alone(tmp_path, open_):
    path = tmp_path / "bookmarks.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notebooks (mine TEXT)")
    assert "another program" in refused(path, StoreError, open_)


def test_pages_of_noise_are_told_when_they_are_met(tmp_path):
    path = filled(tmp_path / "n.db", rows=20_000)
    with path.open("r+b") as file:
        for page in range(40, path.stat().st_size // PAGE, 2):
            file.seek(page * PAGE)
            file.write(b"\xaa" * PAGE)

    async def scenario() -> list[str]:
        store = await SqliteStore.open(path)
        said = []
        for ask in (
            lambda: store.history(HistoryQuery(cursor=10_000, limit=1000)),
            lambda: store.history(HistoryQuery(text="print", cursor=9_000, limit=1000)),
            lambda: store.record([row(n) for n in range(500)]),
            lambda: store.delete_history(row(1).started_at.replace(year=2030), HistoryQuery()),
        ):
            with pytest.raises(StoreCorrupt) as caught:
                await ask()
            said.append(str(caught.value))
        await store.close()
        return said

    assert all("Restore a backup" in text for text in asyncio.run(scenario()))


def test_a_repaired_file_is_used_without_a_restart(tmp_path):
    path = filled(tmp_path / "n.db", rows=20_000)
    shutil.copy(path, tmp_path / "backup.db")

    async def scenario() -> int:
        store = await SqliteStore.open(path)
        with path.open("r+b") as file:
            file.seek(PAGE)
            file.write(b"\xaa" * PAGE * 400)
        with pytest.raises(StoreCorrupt):
            await store.record([row(f"new-{n}") for n in range(500)])
        os.replace(tmp_path / "backup.db", path)
        recorded = await store.record([row("after")])
        assert [e.id for e in (await store.history(HistoryQuery(limit=1))).items] == ["after"]
        await store.close()
        return recorded

    assert asyncio.run(scenario()) == 1
    assert problems(path) == []


# places --------------------------------------------------------------------------


@EITHER
def test_a_folder_is_no_database(tmp_path, open_):
    assert "is a folder" in refused(tmp_path, StoreError, open_)


@EITHER
@pytest.mark.parametrize("make", ["null", "pipe"])
def test_a_device_or_a_pipe_is_no_database(tmp_path, open_, make):
    path = Path("/dev/null")
    if make == "pipe":
        path = tmp_path / "pipe"
        os.mkfifo(path)
    assert "is a device or a pipe" in refused(path, StoreError, open_)
    assert glance.notebook_records(str(path), None) is None


def test_missing_folders_are_made_for_their_owner_alone(tmp_path):
    path = tmp_path / "a" / "b" / "n.db"
    opened_and_closed(path)
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--db or NOTEBOOK_DB"):
        opened_and_closed(tmp_path / "file" / "n.db")


@pytest.mark.parametrize("name", ["it's #1 ?mode=ro & 100%.db", "\N{PILE OF POO}\n.db", " .db"])
def test_a_file_may_have_any_name(tmp_path, name):
    path = filled(tmp_path / name, rows=3)
    assert read_by_command(path) == 1
    assert path.exists()


def test_a_file_that_does_not_exist_reads_as_empty_and_stays_so(tmp_path):
    with SqliteReader(tmp_path / "none" / "n.db") as reader:
        assert reader.list_notebooks().items == ()
        assert reader.history(HistoryQuery(text="x")).items == ()
        assert reader.list_kernels() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_disk_can_be_read_and_is_told_when_written(tmp_path):
    with mounted(tmp_path / "disk") as disk:
        path = filled(disk / "n.db")
        remount(disk, "ro")
        assert read_by_command(path) == 1
        assert "cannot be written" in refused(path, StoreReadOnly, opened_and_closed)
        with pytest.raises(StoreReadOnly):
            opened_and_closed(disk / "new.db")
        with pytest.raises(StoreReadOnly):
            opened_and_closed(disk / "folder" / "new.db")


def test_a_disk_that_turns_read_only_and_back_loses_nothing(tmp_path):
    async def scenario(path: Path) -> None:
        store = await SqliteStore.open(path)
        await store.record([row(1)])
        await store.close()
        remount(path.parent, "ro")
        with pytest.raises(StoreReadOnly):
            await SqliteStore.open(path)
        remount(path.parent, "rw")
        store = await SqliteStore.open(path)
        await store.record([row(2)])
        assert len((await store.history(HistoryQuery())).items) == 2
        await store.close()

    with mounted(tmp_path / "disk") as disk:
        asyncio.run(scenario(disk / "n.db"))


# a full disk ---------------------------------------------------------------------


def test_a_full_disk_loses_nothing_acknowledged_and_recovers_by_itself(tmp_path):
    async def scenario(disk: Path) -> None:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 1024 * 1024)
        store = await SqliteStore.open(disk / "n.db")
        acknowledged, refusals = 0, []
        while len(refusals) < 5:
            batch = [row(f"{acknowledged}-{n}", source="x" * 500) for n in range(50)]
            try:
                acknowledged += await store.record(batch)
            except StoreFull as error:
                refusals.append(str(error))
        assert all("Free some space" in text for text in refusals)
        with pytest.raises(StoreFull):
            await store.check()
        seen = [e.id async for e in store.stream_history(HistoryQuery())]
        assert len(seen) == acknowledged
        ballast.unlink()
        assert await store.record([row("after")]) == 1
        await store.check()
        seen = [e.id async for e in store.stream_history(HistoryQuery())]
        assert len(seen) == len(set(seen)) == acknowledged + 1
        await store.close()

    with mounted(tmp_path / "disk", size="6m") as disk:
        asyncio.run(scenario(disk))
        assert problems(disk / "n.db") == []


def test_no_room_for_a_new_database_is_told(tmp_path):
    with mounted(tmp_path / "disk", size="1m") as disk:
        with pytest.raises(OSError, match="space"):
            (disk / "ballast").write_bytes(b"x" * 2 * 1024 * 1024)
        with pytest.raises(StoreFull):
            opened_and_closed(disk / "n.db")
        (disk / "ballast").unlink()
        opened_and_closed(disk / "n.db")


# others on the file --------------------------------------------------------------

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
print("free", flush=True)
"""
READ = 'connection.execute("SELECT count(*) FROM executions").fetchone()\nprint'


def test_a_busy_file_is_waited_for_and_told_only_after_long(tmp_path):
    path = filled(tmp_path / "n.db", rows=10)

    async def scenario(holder) -> None:
        store = await SqliteStore.open(path, busy_seconds=0.3)
        patient = await SqliteStore.open(path, busy_seconds=60)
        holder_said = await asyncio.to_thread(holder.stdout.readline)
        assert holder_said == "held\n"
        begun = time.monotonic()
        with pytest.raises(StoreBusy, match="another process"):
            await store.record([row("impatient")])
        assert 0.2 < time.monotonic() - begun < 5
        assert len((await store.history(HistoryQuery())).items) == 10  # reading goes on
        waiting = asyncio.create_task(patient.record([row("patient")]))
        await asyncio.sleep(0)
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert await waiting == 1
        assert await store.record([row("impatient")]) == 1
        await store.close()
        await patient.close()

    async def started() -> None:
        with python(HOLDER, path) as holder:
            await scenario(holder)

    asyncio.run(started())


def test_a_file_held_alone_is_told_within_bounds_when_opened(tmp_path):
    path = filled(tmp_path / "n.db", rows=10)
    exclusive = HOLDER.replace("BEGIN IMMEDIATE", "BEGIN EXCLUSIVE").replace(
        'connection.execute("BEGIN',
        'connection.execute("PRAGMA journal_mode = DELETE")\nconnection.execute("BEGIN',
    )
    with python(exclusive, path) as holder:
        assert holder.stdout.readline() == "held\n"
        begun = time.monotonic()
        with pytest.raises(StoreBusy):
            opened_and_closed(path, busy_seconds=0.3)
        assert time.monotonic() - begun < 5
        holder.stdin.write("\n")
        holder.stdin.flush()
        opened_and_closed(path)
    assert read_by_command(path) == 1


def test_a_deleted_file_is_made_anew_without_a_restart_and_said(tmp_path, caplog):
    path = tmp_path / "n.db"

    async def scenario() -> None:
        store = await SqliteStore.open(path)
        await store.record([row(1)])
        for left in tmp_path.glob("n.db*"):
            if left.is_file():
                left.unlink()
        assert store.notice is None
        await store.record([row(2)])
        assert [e.id for e in (await store.history(HistoryQuery())).items] == ["2"]
        assert str(path) in store.notice
        assert "was deleted while it was in use" in caplog.text
        path.replace(tmp_path / "kept.db")
        (tmp_path / "kept.db").replace(path)  # the same file again says nothing new
        await store.record([row(3)])
        assert store.notice is not None
        shutil.copy(path, tmp_path / "copy.db")
        (tmp_path / "copy.db").replace(path)
        await store.record([row(4)])
        assert store.notice is None  # somebody put a copy back
        path.unlink()
        await store.close()

    asyncio.run(scenario())


def test_an_older_copy_in_the_files_place_gets_nothing_of_the_log_that_was_there(tmp_path):
    path, copy = tmp_path / "n.db", tmp_path / "copy.db"

    async def scenario() -> None:
        store = await SqliteStore.open(path)
        await store.record([row(1)])
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("VACUUM INTO ?", [str(copy)])
        await store.record([row(number) for number in range(2, 100)])
        copy.replace(path)
        await store.record([row("new")])
        assert [e.id for e in (await store.history(HistoryQuery())).items] == ["new", "1"]
        await store.close()

    asyncio.run(scenario())
    assert problems(path) == []


def test_a_deleted_file_is_made_anew_although_another_process_has_the_old_one_open(tmp_path):
    path = tmp_path / "n.db"
    reading = HOLDER.replace("IMMEDIATE", "").replace("print", READ, 1)

    async def scenario() -> None:
        store = await SqliteStore.open(path)
        await store.record([row(1)])
        with python(reading, path) as holder:
            assert await asyncio.to_thread(holder.stdout.readline) == "held\n"
            path.unlink()
            await store.record([row(2)])
        assert [e.id for e in (await store.history(HistoryQuery())).items] == ["2"]
        await store.close()

    asyncio.run(scenario())


def test_a_file_that_could_only_be_begun_anew_is_finished_later(tmp_path, monkeypatch):
    path = tmp_path / "n.db"

    def begun(path: Path, busy_seconds: float) -> str:
        path.touch()
        raise StoreFull("The disk is full.")

    # A file system gives the number of a deleted file to the next one.
    monkeypatch.setattr(database, "identity", lambda path: (1, 1) if path.exists() else None)

    async def scenario() -> None:
        store = await SqliteStore.open(path)
        for left in tmp_path.glob("n.db*"):
            if left.is_file():
                left.unlink()
        with monkeypatch.context() as patched:
            patched.setattr(database, "prepare", begun)
            with pytest.raises(StoreFull):
                await store.record([row(1)])
        await store.record([row(2)])
        assert [e.id for e in (await store.history(HistoryQuery())).items] == ["2"]
        assert "was deleted while it was in use" in store.notice
        await store.close()

    asyncio.run(scenario())


def test_a_folder_of_another_user_is_named(tmp_path):
    path = tmp_path / "n.db"
    inside = tmp_path / "n.db-processes" / "turn"
    error = store_error(PermissionError(errno.EACCES, "Permission denied", str(inside)), path)
    assert isinstance(error, StoreReadOnly)
    assert f"the folder {str(inside.parent)!r} beside it" in error.message


# where WAL cannot work -----------------------------------------------------------

MOUNTS = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:40 / /home rw,relatime - nfs4 server:/home rw,vers=4.2
41 40 0:41 / /home/me/my\\040disk rw - ext4 /dev/vdb rw
42 22 0:42 / /mnt/ssh rw - fuse.sshfs me@there: rw
43 22 0:43 / /srv rw - nfsd nfsd rw
a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/", False),
        ("/var/lib", False),
        ("/home/me/.blackroad", True),
        ("/homestead", False),
        ("/home/me/my disk/x", False),
        ("/mnt/ssh", True),
        ("/srv", False),
    ],
)
def test_network_file_systems_are_known_by_their_mount(folder, expected):
    assert on_network(Path(folder), MOUNTS) is expected


def test_on_a_network_file_system_everything_works_without_wal(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"40 22 0:40 / {tmp_path} rw - nfs4 server:/home rw\n")
    monkeypatch.setattr(opening, "_MOUNTS", mounts)
    path = tmp_path / "n.db"

    async def scenario() -> None:
        store = await SqliteStore.open(path)
        assert store.journal_mode == "truncate"
        counts = await asyncio.gather(*(store.record([row(n)]) for n in range(50)))
        assert sum(counts) == 50
        assert len((await store.history(HistoryQuery(text="print"))).items) == 50
        await store.close()

    asyncio.run(scenario())
    assert not list(tmp_path.glob("*-wal"))
    assert problems(path) == []


def test_a_file_system_without_shared_memory_is_used_without_wal(tmp_path, monkeypatch):
    """SQLite's dot-file locking has none, as some file systems have none."""
    plain = connection_module.sqlite3.connect
    monkeypatch.setattr(
        connection_module.sqlite3,
        "connect",
        lambda address, **options: plain(f"{address}&vfs=unix-dotfile", **options),
    )

    async def scenario() -> None:
        store = await SqliteStore.open(tmp_path / "n.db")
        assert store.journal_mode == "delete"
        assert await store.record([row(1)]) == 1
        assert len((await store.history(HistoryQuery())).items) == 1
        await store.close()

    asyncio.run(scenario())


def test_an_sqlite_without_strict_tables_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(connection_module.sqlite3, "sqlite_version_info", (3, 36, 0))
    with pytest.raises(StoreError, match=r"3\.37"):
        opened_and_closed(tmp_path / "n.db")


def test_a_log_that_cannot_be_emptied_leaves_the_connection_as_it_was(tmp_path):
    with closing(connection_module.connect(filled(tmp_path / "n.db", 1), "rw", 7.0)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE notebooks SET name = 'y'")
        database._empty_log(connection, 7.0)  # which SQLite refuses within a transaction
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (7000,)
        connection.execute("ROLLBACK")


def test_a_batch_needs_no_temporary_file(tmp_path):
    """Its rows pass a temporary table, and /tmp may be full."""
    with closing(connection_module.connect(filled(tmp_path / "n.db", 1), "rw")) as connection:
        in_memory = 2
        assert connection.execute("PRAGMA temp_store").fetchone() == (in_memory,)
