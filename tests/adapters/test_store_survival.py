"""What must survive: killed writers, many writers, readers beside them.

The short form runs with the other tests. `BLACKROAD_SURVIVAL=20` makes each test
that much longer, and `pytest -m survival` runs only these.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from store_rows import problems, python, row

from blackroad_nb.adapters.sqlite import process as process_module
from blackroad_nb.adapters.sqlite.reader import SqliteReader
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.core.execution import Status
from blackroad_nb.core.history import HistoryQuery, Page
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.core.run import Run, RunStatus
from blackroad_nb.core.usage import UsageQuery
from blackroad_nb.errors import StoreError

pytestmark = pytest.mark.survival
LONGER = int(os.environ.get("BLACKROAD_SURVIVAL", "1"))

WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.core.execution import Execution, Status

async def write(store, name):
    number = 0
    while True:
        now = datetime.now(UTC)
        batch = [
            Execution(f"{name}-{number + n}", Status.SUCCESS, "y = f(x)  # " + "x" * 200, now, now,
                1, path=f"/data/{name}.ipynb")
            for n in range(20)
        ]
        await store.record(batch)
        number += len(batch)
        print(batch[-1].id, flush=True)  # only now are they acknowledged

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    await asyncio.gather(*(write(store, f"{sys.argv[2]}.{task}") for task in range(3)))

asyncio.run(main())
"""


def stored_ids(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT id FROM executions")]


@pytest.mark.timeout(60 + 20 * LONGER)
def test_killed_writers_lose_nothing_acknowledged(tmp_path):
    path = tmp_path / "n.db"
    chance = random.Random(LONGER)
    acknowledged: dict[str, int] = {}
    for kill in range(6 * LONGER):
        with python(WRITER, path, f"writer{kill}") as writer:
            first = writer.stdout.readline()
            assert first, writer.stderr.read()
            time.sleep(chance.random() * 0.25)  # the moment of death is the point here
            writer.kill()
            said = [first, *writer.stdout.read().splitlines()]
        for line in said:
            name, _, number = line.strip().rpartition("-")
            acknowledged[name] = max(acknowledged.get(name, 0), int(number or 0) + 1)
    assert problems(path) == []
    stored = stored_ids(path)
    assert len(stored) == len(set(stored))
    missing = {
        f"{name}-{number}" for name, count in acknowledged.items() for number in range(count)
    } - set(stored)
    assert missing == set()


@pytest.mark.timeout(60 + 20 * LONGER)
def test_four_processes_write_beside_another(tmp_path):
    path = tmp_path / "n.db"
    seconds = 3 * LONGER

    async def beside() -> int:
        store = await SqliteStore.open(path)
        until = time.monotonic() + seconds
        number = 0
        while time.monotonic() < until:
            number += await store.record([row(f"own-{number}", path="/data/own.ipynb")])
            await store.history(HistoryQuery(text="print", limit=10))
        await store.close()
        return number

    acknowledged: dict[str, int] = {}
    with ExitStack() as stack:
        writers = [stack.enter_context(python(WRITER, path, f"writer{n}")) for n in range(4)]
        own = asyncio.run(beside())
        for writer in writers:
            assert writer.poll() is None, writer.stderr.read()
            writer.kill()
        for writer in writers:
            said, complaints = writer.communicate(timeout=30)
            assert complaints == ""
            for line in said.splitlines():
                name, _, number = line.rpartition("-")
                acknowledged[name] = int(number) + 1
    assert own > 0
    assert len(acknowledged) == 12
    stored = set(stored_ids(path))
    assert {f"own-{n}" for n in range(own)} <= stored
    assert {f"{k}-{n}" for k, count in acknowledged.items() for n in range(count)} <= stored
    assert problems(path) == []


def test_readers_see_whole_batches_beside_a_writer(tmp_path):
    path = tmp_path / "n.db"

    async def scenario() -> None:
        store = await SqliteStore.open(path)
        done = asyncio.Event()

        async def write() -> None:
            for batch in range(100 * LONGER):
                await store.record([row(f"{batch}-{n}") for n in range(10)])
            done.set()

        async def read() -> int:
            looks = 0
            while not done.is_set():
                seen = [e.id async for e in store.stream_history(HistoryQuery())]
                assert len(seen) % 10 == 0
                assert len(seen) == len(set(seen))
                total = sum(t.executions for t in await store.usage(UsageQuery()))
                assert total % 10 == 0
                looks += 1
            return looks

        def read_elsewhere() -> int:
            looks = 0
            while not done.is_set():
                with SqliteReader(path) as reader:
                    assert len(reader.history(HistoryQuery(limit=1000)).items) % 10 == 0
                looks += 1
            return looks

        looks = await asyncio.gather(read(), read(), asyncio.to_thread(read_elsewhere), write())
        assert all(looks[:3])
        await store.close()

    asyncio.run(scenario())


def test_a_busy_neighbour_gets_its_turn(tmp_path):
    """Two stores that write without pause share the file about evenly."""

    async def scenario() -> list[int]:
        stores = [await SqliteStore.open(tmp_path / "n.db") for _ in range(2)]
        until = time.monotonic() + 1

        async def write(number: int) -> int:
            count = 0
            while time.monotonic() < until:
                count += await stores[number].record([row(f"{number}-{count}")])
            return count

        counts = await asyncio.gather(write(0), write(1))
        for store in stores:
            await store.close()
        return counts

    counts = asyncio.run(scenario())
    assert min(counts) * 3 > max(counts) > 0


BEGINNER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.run import Run, RunStatus

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    now = datetime.now(UTC)
    await store.record([Execution("begun", Status.PENDING, "sleep(1)", now, user="ada")])
    await store.put_run(Run("run", "notebook-1", RunStatus.RUNNING, {}, "/data/1.ipynb", "python3"))
    print("begun", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await store.close()

asyncio.run(main())
"""


async def _with_notebook(path: Path) -> None:
    store = await SqliteStore.open(path)
    at = row(0).started_at
    await store.add_notebook(Notebook("notebook-1", "One", "/data/1.ipynb", "python3", at, at))
    await store.close()


async def _states(path: Path) -> tuple[Status, RunStatus]:
    """Open the file, as any next process does, and look."""
    store = await SqliteStore.open(path)
    (execution,) = (await store.history(HistoryQuery())).items
    run = await store.get_run("run")
    await store.close()
    return execution.status, run.status


@pytest.mark.parametrize("seen_from", ["the same host", "another container"])
def test_rows_of_a_killed_process_are_closed_and_those_of_a_living_one_left(
    tmp_path, monkeypatch, seen_from
):
    path = tmp_path / "n.db"
    asyncio.run(_with_notebook(path))
    with python(BEGINNER, path) as beginner:
        assert beginner.stdout.readline() == "begun\n", beginner.stderr.read()
        if seen_from == "another container":
            monkeypatch.setattr(process_module, "_space", lambda: ("elsewhere", "1:2"))
        assert asyncio.run(_states(path)) == (Status.PENDING, RunStatus.RUNNING)
        beginner.kill()
        beginner.wait()
        assert asyncio.run(_states(path)) == (Status.KILLED, RunStatus.KILLED)

    async def look() -> None:
        store = await SqliteStore.open(path)
        (killed,) = (await store.history(HistoryQuery(user="ada", status=Status.KILLED))).items
        assert (killed.finished_at, killed.duration_ms) == (None, None)
        assert "ended before" in (killed.error or "")
        assert "ended before" in ((await store.get_run("run")).message or "")
        assert [(t.key, t.executions) for t in await store.usage(UsageQuery("user"))] == [
            ("ada", 1)
        ]
        await store.close()

    asyncio.run(look())
    assert problems(path) == []


def test_a_reader_shows_rows_of_a_killed_process_as_killed(tmp_path):
    """Also while its parent has not waited for it: it is a zombie then."""
    path = tmp_path / "n.db"
    asyncio.run(_with_notebook(path))

    def status_of(query: HistoryQuery) -> list[Status]:
        with SqliteReader(path) as reader:
            return [execution.status for execution in reader.history(query).items]

    with python(BEGINNER, path) as beginner:
        assert beginner.stdout.readline() == "begun\n", beginner.stderr.read()
        assert status_of(HistoryQuery()) == [Status.PENDING]
        beginner.kill()
        assert beginner.stdout.read() == ""  # it has ended
        os.waitid(os.P_PID, beginner.pid, os.WEXITED | os.WNOWAIT)
        assert status_of(HistoryQuery(status=Status.KILLED)) == [Status.KILLED]
    assert asyncio.run(_states(path)) == (Status.KILLED, RunStatus.KILLED)
    assert problems(path) == []


def test_a_process_that_leaves_in_order_closes_its_own_rows(tmp_path):
    path = tmp_path / "n.db"
    asyncio.run(_with_notebook(path))
    with python(BEGINNER, path) as beginner:
        assert beginner.stdout.readline() == "begun\n"
        _, said = beginner.communicate("leave\n", timeout=30)
        assert (beginner.returncode, said) == (0, "")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT status FROM executions").fetchall() == [("killed",)]
        assert connection.execute("SELECT status FROM runs").fetchall() == [("killed",)]
    assert {left.name for left in (tmp_path / "n.db-processes").iterdir()} == {"queue", "turn"}


def test_lock_files_of_killed_processes_are_cleaned_up(tmp_path):
    """Not those of living ones, and none so young that its owner may yet lock it."""
    path = tmp_path / "n.db"
    folder = tmp_path / "n.db-processes"

    async def scenario() -> None:
        store = await SqliteStore.open(path)
        (mine,) = {left.name for left in folder.iterdir()} - {"queue", "turn"}
        for name in ("0" * 32, "1" * 32):
            (folder / name).write_text("blackroad-nb host/space/1/2/3\n")
        for name in (mine, "0" * 32):
            os.utime(folder / name, (0, 0))
        other = await SqliteStore.open(path)
        await other.close()
        assert {left.name for left in folder.iterdir()} == {"queue", "turn", mine, "1" * 32}
        await store.close()

    asyncio.run(scenario())


def test_a_second_store_of_one_process_leaves_the_first_ones_rows(tmp_path):
    async def scenario() -> None:
        first = await SqliteStore.open(tmp_path / "n.db")
        await first.record([row("begun", status=Status.PENDING, finished_at=None)])
        second = await SqliteStore.open(tmp_path / "n.db")
        await second.close()
        assert (await first.history(HistoryQuery())).items[0].status is Status.PENDING
        assert await first.record([row("begun")]) == 1
        await first.close()

    asyncio.run(scenario())


def test_a_number_used_again_by_the_system_is_no_living_process(tmp_path):
    """A process of our number but of another start is not the one that wrote."""
    path = tmp_path / "n.db"
    mark = process_module.ProcessMark(path)
    host, space, pid, start, instance = mark.name.split("/")
    again = "/".join((host, space, pid, str(int(start) - 1), instance))
    assert not process_module.is_alive(again, path)
    assert process_module.is_alive(mark.name, path)
    mark.release()


def test_closing_amid_questions_leaves_no_thread_behind(tmp_path):
    """A thread of aiosqlite's that stays keeps the program from ending."""

    async def scenario(moment: int) -> None:
        store = await SqliteStore.open(tmp_path / f"{moment}.db")
        await store.record([row(n) for n in range(300)])
        asked = [asyncio.create_task(store.history(HistoryQuery(limit=300))) for _ in range(12)]
        asked += [asyncio.create_task(store.record([row(f"late-{n}")])) for n in range(3)]
        for _ in range(moment):
            await asyncio.sleep(0)
        for task in asked[::4]:
            task.cancel()
        await store.close()
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(result) for result in results} <= {
            asyncio.CancelledError,
            StoreError,
            Page,
            int,
        }

    for moment in range(25):
        asyncio.run(scenario(moment))
    ours = [thread for thread in threading.enumerate() if "connection_worker" in thread.name]
    for thread in ours:
        thread.join(timeout=10)
    assert not [thread for thread in ours if thread.is_alive()]


FORGETFUL = """
import asyncio, sys
from pathlib import Path
from blackroad_nb.adapters.sqlite.store import SqliteStore

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    await store.list_notebooks()
    await store.check()
    raise SystemExit(3)

asyncio.run(main())
"""


def test_a_program_that_forgets_to_close_still_ends(tmp_path):
    with python(FORGETFUL, tmp_path / "n.db") as program:
        program.communicate(timeout=30)
        assert program.returncode == 3


def test_runs_of_a_store_know_their_state_from_the_row_alone(tmp_path):
    """A finished run is nobody's: the next process never touches it."""
    path = tmp_path / "n.db"
    asyncio.run(_with_notebook(path))

    async def scenario() -> None:
        store = await SqliteStore.open(path)
        done = Run("run", "notebook-1", RunStatus.CANCELLED, {}, "/data/1.ipynb", "python3")
        await store.put_run(done)
        await store.close()
        store = await SqliteStore.open(path)
        assert await store.get_run("run") == done
        await store.close()

    asyncio.run(scenario())
