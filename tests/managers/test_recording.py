"""The writer over stores that work, break, hang and recover."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blackroad_nb.adapters.memory import MemoryStore
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.core.run import Run, RunStatus
from blackroad_nb.errors import StoreBusy, StoreError, StoreFull
from blackroad_nb.managers.recording import Missing, RecordWriter, WriterSettings

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FAST = WriterSettings(
    batch_seconds=0.01, busy_seconds=0.02, retry_seconds=0.01, retry_limit_seconds=0.02
)


def clock() -> datetime:
    return NOW


def row(number: int, **changes: Any) -> Execution:
    made = Execution(f"id-{number}", Status.SUCCESS, f"{number}", NOW, NOW, 0)
    return replace(made, **changes)


class Faulty(MemoryStore):
    """Fails as often as it is told to, and remembers how large the batches were."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)
        self.batches: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def record(self, executions: Sequence[Execution]) -> int:
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        if any(execution.source == "poison" for execution in executions):
            raise OverflowError("too large for the store")
        self.batches.append(len(executions))
        return await super().record(executions)

    async def ids(self) -> list[str]:
        page = await self.history(HistoryQuery(limit=1000))
        return [execution.id for execution in reversed(page.items)]


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 30))


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def test_rows_arrive_in_order_and_are_counted() -> None:
    async def main() -> None:
        store = Faulty()
        writer = RecordWriter(store, clock, FAST)
        writer.put(row(0))
        await writer.start()
        for number in range(1, 5):
            writer.put(row(number))
        assert await writer.flush()
        assert await store.ids() == [f"id-{number}" for number in range(5)]
        health = writer.health()
        assert health["state"] == "ok"
        assert (health["written"], health["queued"], health["lost"]) == (5, 0, 0)
        assert health["last_written_at"] == NOW.isoformat()
        await writer.close()

    run(main)


def test_rows_are_written_in_batches_without_being_asked() -> None:
    async def main() -> None:
        store = Faulty()
        writer = RecordWriter(store, clock, replace(FAST, batch_rows=10))
        await writer.start()
        for number in range(25):
            writer.put(row(number))
        await until(lambda: sum(store.batches) == 25)
        assert max(store.batches) == 10
        assert len(store.batches) == 3
        await writer.close()

    run(main)


@pytest.mark.parametrize(
    ("error", "state"), [(StoreFull("The disk is full."), "broken"), (StoreBusy("Busy."), "behind")]
)
def test_a_failing_store_keeps_the_rows_and_is_tried_again(
    error: StoreError, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        store = Faulty(*[error] * 3)
        writer = RecordWriter(store, clock, FAST)
        await writer.start()
        writer.put(row(1))
        writer.put(row(2))
        await until(lambda: len(store.errors) < 3)
        health = writer.health()
        assert (health["state"], health["reason"]) == (state, error.message)
        assert (health["queued"], health["lost"]) == (2, 0)
        assert await writer.flush()
        assert await store.ids() == ["id-1", "id-2"]
        health = writer.health()
        assert (health["state"], health["reason"], health["written"]) == ("ok", None, 2)
        assert health["last_error"] == error.message
        await writer.close()

    with caplog.at_level(logging.WARNING):
        run(main)
    said = [record.getMessage() for record in caplog.records]
    assert sum("cannot be written" in line for line in said) == 1
    assert sum("written again" in line for line in said) == 1


def test_a_row_that_no_store_can_take_does_not_stop_the_others() -> None:
    async def main() -> None:
        store = Faulty()
        writer = RecordWriter(store, clock, FAST)
        await writer.start()
        for execution in (row(1), row(2, source="poison"), row(3)):
            writer.put(execution)
        assert await writer.flush()
        assert await store.ids() == ["id-1", "id-3"]
        health = writer.health()
        assert (health["written"], health["lost"]) == (2, 1)
        assert health["last_error"] == "OverflowError: too large for the store"
        await writer.close()

    run(main)


@pytest.mark.parametrize(
    "settings",
    [replace(FAST, queue_rows=3), replace(FAST, queue_bytes=3 * 401)],
    ids=["rows", "bytes"],
)
def test_an_overflow_refuses_the_newest_and_says_so_once(
    settings: WriterSettings, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        store = Faulty()
        store.gate.clear()
        writer = RecordWriter(store, clock, settings)
        await writer.start()
        for number in range(6):
            writer.put(row(number))
        assert writer.health()["lost"] == 3
        store.gate.set()
        assert await writer.flush()
        assert await store.ids() == ["id-0", "id-1", "id-2"]
        writer.put(row(7))
        assert await writer.flush()
        assert (await store.ids())[-1] == "id-7"
        assert writer.health()["queued_bytes"] == 0
        await writer.close()

    run(main)
    assert sum("queue is full" in record.getMessage() for record in caplog.records) == 1


def test_a_store_that_hangs_shows_and_does_not_hold_up_the_end() -> None:
    async def main() -> None:
        store = Faulty()
        store.gate.clear()
        settings = replace(FAST, behind_seconds=0.02, close_seconds=0.1)
        writer = RecordWriter(store, clock, settings)
        await writer.start()
        writer.put(row(1))
        await until(lambda: writer.health()["state"] == "behind")
        assert writer.health()["reason"]
        assert await writer.flush() is False
        await asyncio.wait_for(writer.close(), 2)
        assert writer.health()["lost"] == 1

    run(main)


def test_batches_are_bounded_by_their_size_too() -> None:
    async def main() -> None:
        store = Faulty()
        writer = RecordWriter(store, clock, replace(FAST, batch_bytes=5000))
        for number in range(6):
            writer.put(row(number, output="x" * (6000 if number == 1 else 1500)))
        await writer.start()
        assert await writer.flush()
        assert store.batches == [1, 1, 2, 2]
        await writer.close()

    run(main)


def test_a_flush_waits_for_what_came_before_it_only() -> None:
    async def main() -> None:
        store = Faulty()
        writer = RecordWriter(store, clock, FAST)
        await writer.start()
        writer.put(row(0))
        flushing = asyncio.create_task(writer.flush())
        number = 0
        while not flushing.done():
            number += 1
            writer.put(row(number))  # it never runs dry
            await asyncio.sleep(0)
        assert await flushing
        assert "id-0" in await store.ids()
        await writer.close()

    run(main)


def test_a_run_is_stored_after_its_rows_and_what_is_missing_is_said() -> None:
    ended = Run("r", "1", RunStatus.SUCCESS, {}, "/w/a.ipynb", "python3")
    mine = [row(number, run_id="r") for number in range(2)]
    pending = replace(mine[0], status=Status.PENDING, finished_at=None)

    async def main() -> None:
        store = Faulty(*[StoreFull("The disk is full.")] * 1000)
        await store.add_notebook(notebook(1, "/w/a.ipynb", "a"))
        writer = RecordWriter(store, clock, replace(FAST, close_seconds=0.1, queue_rows=4))
        await writer.start()
        for execution in (pending, *mine):
            writer.put(execution)
        writer.put(row(9, run_id="another"))
        writer.put_run(ended)  # no room
        assert await writer.settle("r") == Missing(2, True, "store_full", "The disk is full.")
        assert await writer.settle("r") == Missing(2, False, "store_full", "The disk is full.")
        store.errors.clear()
        assert await writer.settle("r") is None
        writer.put_run(ended)
        assert await writer.settle("r") is None
        assert await store.get_run("r") == ended
        assert await store.ids() == ["id-0", "id-1", "id-9"]
        await store.delete_notebook("1")
        writer.put_run(replace(ended, id="late"))
        missing = await writer.settle("late")
        assert missing is not None
        assert (missing.run, missing.code) == (True, "notebook_not_found")
        await writer.close()

    run(main)


def test_the_end_does_not_wait_twice_for_a_broken_store() -> None:
    async def main() -> None:
        store = Faulty(*[StoreFull("The disk is full.")] * 1000)
        writer = RecordWriter(store, clock, replace(FAST, close_seconds=0.1))
        await writer.start()
        writer.put(row(1))
        assert not await writer.flush()
        tried = 1000 - len(store.errors)
        await writer.close()
        assert 1000 - len(store.errors) - tried <= 1
        assert writer.health()["lost"] == 1

    run(main)


def test_what_comes_after_the_end_is_lost_and_counted() -> None:
    async def main() -> None:
        writer = RecordWriter(Faulty(), clock, FAST)
        await writer.start()
        await writer.close()
        writer.put(row(1))
        assert writer.health()["lost"] == 1
        await writer.close()

    run(main)


def test_a_pending_row_is_finished_by_the_same_id() -> None:
    async def main() -> None:
        store = Faulty()
        writer = RecordWriter(store, clock, FAST)
        await writer.start()
        writer.put(row(1, status=Status.PENDING, finished_at=None, duration_ms=None))
        writer.put(row(1))
        assert await writer.flush()
        (stored,) = (await store.history(HistoryQuery())).items
        assert stored.status is Status.SUCCESS
        await writer.close()

    run(main)


def notebook(number: int, path: str, name: str) -> Notebook:
    return Notebook(f"{number}", name, path, "python3", NOW, NOW)


def test_a_rename_keeps_the_history_with_its_notebook() -> None:
    async def main() -> None:
        store = MemoryStore()
        await store.add_notebook(notebook(1, "/w/old.ipynb", "old"))
        writer = RecordWriter(store, clock, FAST)
        await writer.start()
        writer.put(row(1, path="/w/old.ipynb"))
        writer.rename("/w/old.ipynb", "/w/new.ipynb")
        writer.put(row(2, path="/w/new.ipynb"))
        assert await writer.flush()
        moved = await store.get_notebook("1")
        assert (moved.path, moved.name) == ("/w/new.ipynb", "new")
        history = (await store.history(HistoryQuery(notebook_id="1"))).items
        assert [execution.id for execution in history] == ["id-2", "id-1"]
        assert len((await store.list_notebooks()).items) == 1
        await writer.close()

    run(main)


def test_a_moved_folder_takes_its_notebooks_along_and_no_others() -> None:
    async def main() -> None:
        store = MemoryStore()
        for number, path in enumerate(("/w/a/1.ipynb", "/w/a/b/2.ipynb", "/w/ab/3.ipynb")):
            await store.add_notebook(notebook(number, path, "My name"))
        writer = RecordWriter(store, clock, FAST)
        await writer.start()
        writer.rename("/w/a", "/w/z", folder=True)
        assert await writer.flush()
        found = {n.path: n.name for n in (await store.list_notebooks()).items}
        assert found == dict.fromkeys(
            ("/w/z/1.ipynb", "/w/z/b/2.ipynb", "/w/ab/3.ipynb"), "My name"
        )
        await writer.close()

    run(main)


def test_a_rename_onto_a_registered_path_leaves_both_alone() -> None:
    async def main() -> None:
        store = MemoryStore()
        await store.add_notebook(notebook(1, "/w/old.ipynb", "old"))
        await store.add_notebook(notebook(2, "/w/new.ipynb", "new"))
        writer = RecordWriter(store, clock, FAST)
        await writer.start()
        writer.rename("/w/old.ipynb", "/w/new.ipynb")
        writer.put(row(1))
        assert await writer.flush()
        assert (await store.get_notebook("1")).path == "/w/old.ipynb"
        assert writer.health()["written"] == 1
        await writer.close()

    run(main)


def test_a_deleted_or_replaced_database_is_repaired_without_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "notebooks.db"
        store = await SqliteStore.open(path)
        writer = RecordWriter(store, clock, FAST)
        await writer.start()
        writer.put(row(1))
        assert await writer.flush()
        for ending in ("", "-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        path.write_bytes(b"this is no database at all" * 100)
        writer.put(row(2))
        await until(lambda: writer.health()["state"] == "broken")
        assert writer.health()["reason"]
        path.unlink()
        assert await writer.flush()
        assert writer.health()["state"] == "ok"
        assert [e.id for e in (await store.history(HistoryQuery())).items] == ["id-2"]
        await writer.close()
        await store.close()

    run(main)
