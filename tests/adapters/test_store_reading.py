"""Reading costs no more than what is asked, and works where nothing can be written."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from store_rows import fill_up, mounted, problems, python, remount, row

from blackroad_nb.adapters.sqlite.reader import SqliteReader
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.core.execution import Status
from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.errors import StoreError, StoreFull, StoreReadOnly


async def put(path: Path, *names: object) -> None:
    store = await SqliteStore.open(path)
    await store.record([row(name, path="/data/x.ipynb") for name in names])
    await store.close()


def seen(path: Path) -> list[str]:
    """Read the ids in both ways; writing must be refused."""

    async def by_store() -> list[str]:
        store = await SqliteStore.open(path, reading=True)
        try:
            ids = [e.id async for e in store.stream_history(HistoryQuery())]
            assert await store.list_kernels() == ()
            return ids
        finally:
            await store.close()

    with SqliteReader(path) as reader:
        found = [e.id for e in reader.history(HistoryQuery()).items]
    assert asyncio.run(by_store()) == found
    return found


def refused(path: Path, kind: type[StoreError]) -> None:
    async def scenario() -> None:
        with pytest.raises(kind):
            await SqliteStore.open(path)
        store = await SqliteStore.open(path, reading=True)
        with pytest.raises(kind):
            await store.record([row("new")])
        with pytest.raises(kind):
            await store.check()
        await store.close()

    asyncio.run(scenario())


def test_a_full_disk_is_read(tmp_path):
    with mounted(tmp_path / "disk") as disk:
        path = disk / "n.db"
        asyncio.run(put(path, 1, 2))
        fill_up(disk)
        assert seen(path) == ["2", "1"]
        refused(path, StoreFull)
        assert seen(disk / "none.db") == []
        (disk / "ballast").unlink()
        asyncio.run(put(path, 3))
        assert seen(path) == ["3", "2", "1"]
        assert problems(path) == []


def test_what_a_killed_process_left_in_the_log_is_read_on_a_full_disk(tmp_path):
    async def scenario(disk: Path) -> None:
        store = await SqliteStore.open(tmp_path / "n.db")
        await store.record([row(1), row(2)])
        for name in ("n.db", "n.db-wal"):
            shutil.copy(tmp_path / name, disk / name)
        await store.close()

    with mounted(tmp_path / "disk") as disk:
        asyncio.run(scenario(disk))
        fill_up(disk)
        assert seen(disk / "n.db") == ["2", "1"]
        (disk / "ballast").unlink()
        asyncio.run(put(disk / "n.db", 3))
        assert problems(disk / "n.db") == []


def test_a_read_only_disk_is_read(tmp_path):
    with mounted(tmp_path / "disk") as disk:
        asyncio.run(put(disk / "n.db", 1, 2))
        remount(disk, "ro")
        assert seen(disk / "n.db") == ["2", "1"]
        refused(disk / "n.db", StoreReadOnly)
        assert seen(disk / "none.db") == []


# somebody else's file ------------------------------------------------------------

STRANGER = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from store_rows import row
from test_store_reading import put, seen
import asyncio
own = Path(sys.argv[2])
asyncio.run(put(own, "own"))  # imports what a stranger may not be allowed to read
assert seen(own) == ["own"]
if os.getuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
print(json.dumps(seen(Path(sys.argv[1]))))
"""


@contextmanager
def shared_folder(mode: int) -> Iterator[Path]:
    """A folder that strangers reach; pytest's own is its owner's alone."""
    folder = Path(tempfile.mkdtemp(prefix="blackroad-"))
    try:
        yield folder
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)


def seen_by_stranger(path: Path, scratch: Path) -> list[str]:
    here = Path(__file__).parent
    with python(STRANGER, path, scratch / "own.db", here) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return list(json.loads(out))


@pytest.mark.parametrize("mode", [0o555, 0o777])
def test_who_may_only_read_reads_and_leaves_nothing_in_the_way(tmp_path, mode):
    with shared_folder(mode) as folder:
        path = folder / "n.db"
        asyncio.run(put(path, 1, 2))
        path.chmod(0o444)
        folder.chmod(mode)
        before = sorted(os.listdir(folder))
        assert seen_by_stranger(path, tmp_path) == ["2", "1"]
        assert sorted(os.listdir(folder)) == before
        folder.chmod(0o755)
        path.chmod(0o644)
        asyncio.run(put(path, 3))
        assert seen_by_stranger(path, tmp_path) == ["3", "2", "1"]
        assert problems(path) == []


def test_who_may_only_read_reads_beside_a_writer(tmp_path):
    async def scenario(path: Path) -> None:
        store = await SqliteStore.open(path)
        path.parent.chmod(0o755)
        await store.record([row(1)])
        for name in os.listdir(path.parent):
            (path.parent / name).chmod(0o755 if (path.parent / name).is_dir() else 0o644)
        assert await asyncio.to_thread(seen_by_stranger, path, tmp_path) == ["1"]
        await store.record([row(2)])
        assert await asyncio.to_thread(seen_by_stranger, path, tmp_path) == ["2", "1"]
        await store.close()

    if os.getuid() != 0:
        pytest.skip("only root can be two users")
    with shared_folder(0o755) as folder:
        asyncio.run(scenario(folder / "n.db"))


def test_a_row_is_found_and_read_without_its_large_output(tmp_path):
    """What the process reads is counted: the disk may have the file in memory."""

    def bytes_read() -> int:
        fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        return int(fields["rchar"])

    async def scenario() -> None:
        store = await SqliteStore.open(tmp_path / "n.db")
        large = json.dumps([{"output_type": "stream", "name": "stdout", "text": "x" * 4_000_000}])
        rows = [row(n, path="/data/x.ipynb", run_id="run-1", output=large) for n in range(10)]
        await store.record(rows)
        await store.close()
        store = await SqliteStore.open(tmp_path / "n.db")
        queries = [
            HistoryQuery(run_id="run-1", outputs=False),
            HistoryQuery(outputs=False),
            HistoryQuery(text="print", outputs=False),
            HistoryQuery(status=Status.SUCCESS, outputs=False),
        ]
        for query in queries:
            before = bytes_read()
            assert len((await store.history(query)).items) == 10
            assert bytes_read() - before < 1_000_000
        await store.close()

    asyncio.run(scenario())
