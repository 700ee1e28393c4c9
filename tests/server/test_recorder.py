"""Each case of the tracker's table again, with real kernels on a real server."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cells import Browser, open_browser, until

from blackroad_nb.core.execution import Execution, Status, execution_id
from blackroad_nb.managers.recording import RecordWriter
from blackroad_nb.server.recorder import RecorderOptions, ServerRecorder


class Kept:
    """The part of a store that the writer needs."""

    def __init__(self) -> None:
        self.rows: dict[str, Execution] = {}

    async def record(self, executions: Sequence[Execution]) -> int:
        for execution in executions:
            known = self.rows.get(execution.id)
            if known is None or known.status is Status.PENDING:
                self.rows[execution.id] = execution
        return len(executions)

    def find(self, kernel_id: str, msg_id: str) -> Execution | None:
        found = self.rows.get(execution_id(kernel_id, msg_id))
        return found if found is not None and found.status is not Status.PENDING else None


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    return {"ServerApp": {"jpserver_extensions": {}}}


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def recorder(jp_serverapp: Any, jp_asyncio_loop: Any, kept: Kept) -> Iterator[ServerRecorder]:
    async def begin() -> ServerRecorder:
        writer = RecordWriter(kept, lambda: datetime.now(UTC))
        recorder = ServerRecorder(jp_serverapp, writer, RecorderOptions(server="here"))
        recorder.wrap_websocket(jp_serverapp.web_app.settings)
        await recorder.start()
        return recorder

    recorder = jp_asyncio_loop.run_until_complete(begin())
    yield recorder
    jp_asyncio_loop.run_until_complete(recorder.stop())


class Desk:
    """A notebook with its kernel and one open tab."""

    def __init__(self, kernel_id: str, session_id: str, tab: Browser, kept: Kept) -> None:
        self.kernel_id = kernel_id
        self.session_id = session_id
        self.tab = tab
        self.kept = kept

    async def recorded(self, msg_id: str) -> Execution:
        found = await until(lambda: self.kept.find(self.kernel_id, msg_id), f"a row of {msg_id}")
        assert isinstance(found, Execution)
        return found

    async def run(self, code: str, **options: Any) -> Execution:
        return await self.recorded(await self.tab.run(code, **options))


@pytest.fixture
def desk(
    jp_serverapp: Any,
    recorder: ServerRecorder,
    jp_asyncio_loop: Any,
    jp_ws_fetch: Any,
    jp_root_dir: Path,
    kept: Kept,
) -> Iterator[Desk]:
    async def begin() -> Desk:
        (jp_root_dir / "nb.ipynb").write_text("{}")
        session = await jp_serverapp.session_manager.create_session(
            path="nb.ipynb", name="nb.ipynb", type="notebook", kernel_name="python3"
        )
        tab = await open_browser(jp_ws_fetch, session["kernel"]["id"])
        return Desk(session["kernel"]["id"], session["id"], tab, kept)

    desk = jp_asyncio_loop.run_until_complete(begin())
    yield desk
    jp_asyncio_loop.run_until_complete(desk.tab.close())


async def test_success_carries_everything(desk: Desk, jp_root_dir: Path) -> None:
    row = await desk.run("6 * 7", cell_id="cell-a")
    assert row.status is Status.SUCCESS
    assert row.source == "6 * 7"
    assert row.path == os.path.realpath(jp_root_dir / "nb.ipynb")
    assert row.cell_id == "cell-a"
    assert row.execution_count == 1
    assert (row.user, row.user_source) == (getpass.getuser(), "token")
    assert row.server == "here"
    assert row.kernel_id == desk.kernel_id
    assert row.origin == "interactive"
    assert row.error is None
    assert row.finished_at is not None
    assert row.queued_at is not None
    assert row.queued_at <= row.started_at <= row.finished_at
    assert row.duration_ms is not None
    assert 0 <= row.duration_ms < 5000


async def test_error_says_what_and_where_without_colours(desk: Desk) -> None:
    row = await desk.run("def f():\n    return 1 / 0\nf()")
    assert row.status is Status.ERROR
    assert row.error is not None
    assert row.error.startswith("ZeroDivisionError: division by zero\n")
    assert "return 1 / 0" in row.error
    assert "\x1b" not in row.error


async def test_cells_queued_behind_an_error_are_aborted(desk: Desk) -> None:
    first = desk.tab.send("import time; time.sleep(0.3); 1/0")
    second = desk.tab.send("print('never')", cell_id="second")
    await desk.tab.done(second)
    assert (await desk.recorded(first)).status is Status.ERROR
    row = await desk.recorded(second)
    assert row.status is Status.ABORTED
    assert row.source == "print('never')"
    assert row.cell_id == "second"
    assert row.execution_count is None


async def test_silent_requests_leave_no_row(desk: Desk, kept: Kept) -> None:
    await desk.tab.run("x = 1", silent=True)
    await desk.run("x + 1")
    assert [row.source for row in kept.rows.values()] == ["x + 1"]


async def test_store_history_false_is_recorded(desk: Desk) -> None:
    rows = [await desk.run(f"{number}", store_history=False) for number in (1, 2)]
    assert [row.status for row in rows] == [Status.SUCCESS, Status.SUCCESS]
    assert [row.source for row in rows] == ["1", "2"]


async def test_interrupt_is_an_error_of_that_name(desk: Desk, jp_fetch: Any) -> None:
    msg_id = await desk.tab.running(desk.tab.send("import time; time.sleep(60)"))
    await jp_fetch(
        "api", "kernels", desk.kernel_id, "interrupt", method="POST", allow_nonstandard_methods=True
    )
    row = await desk.recorded(msg_id)
    assert row.status is Status.ERROR
    assert row.error is not None
    assert row.error.startswith("KeyboardInterrupt")
