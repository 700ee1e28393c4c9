"""Each case of the tracker's table again, with real kernels on a real server."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from cells import Browser, open_browser, pack_v1, until
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from blackroad_nb.core.execution import Execution, Status, execution_id
from blackroad_nb.core.tracking import ExecutionTracker
from blackroad_nb.core.witness import Event, Idle
from blackroad_nb.managers.recording import RecordWriter
from blackroad_nb.server.iopub_source import OwnSource
from blackroad_nb.server.iopub_tap import MessageReader
from blackroad_nb.server.recorder import (
    ACTIVITY_WAIT_SECONDS,
    CLAIM_LIMIT,
    RecorderOptions,
    ServerRecorder,
)


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


def kernel_pid(app: Any, kernel_id: str) -> int:
    return int(app.kernel_manager.get_kernel(kernel_id).provisioner.process.pid)


def direct_client(app: Any, kernel_id: str) -> AsyncKernelClient:
    """Connect as a console does, past the server."""
    client = AsyncKernelClient(
        connection_file=app.kernel_manager.get_kernel(kernel_id).connection_file
    )
    client.load_connection_file()
    client.start_channels()
    return client


def real(root: Path, name: str) -> str:
    return os.path.realpath(root / name)


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

    async def run_when_ready(self, code: str) -> Execution:
        """Run a cell after a restart: requests that reach the old kernel are lost."""
        sent: list[str] = []
        while True:
            sent.append(self.tab.send(code))
            with contextlib.suppress(AssertionError):
                rows = await until(lambda: list(filter(None, map(self._row, sent))), "a row", 2)
                return cast("Execution", rows[0])

    def _row(self, msg_id: str) -> Execution | None:
        return self.kept.find(self.kernel_id, msg_id)


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
    assert row.path == real(jp_root_dir, "nb.ipynb")
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


FAIL = "1/0"
SHOW = "%tb"
CAUGHT = "try:\n    1/0\nexcept Exception:\n    get_ipython().showtraceback()\n'goes on'"


@pytest.mark.parametrize("code", [SHOW, CAUGHT])
async def test_a_cell_that_shows_an_error_and_ends_well_is_a_success(desk: Desk, code: str) -> None:
    await desk.run(FAIL)
    msg_id = await desk.tab.run(code)
    assert desk.tab.said(msg_id, "error")
    row = await desk.recorded(msg_id)
    assert (row.status, row.error) == (Status.SUCCESS, None)
    assert (await desk.run(FAIL)).status is Status.ERROR


async def test_a_closed_tab_does_not_turn_a_success_into_an_error(desk: Desk) -> None:
    msg_id = desk.tab.send(f"import time; time.sleep(1)\n{CAUGHT}")
    await desk.tab.running(msg_id)
    await desk.tab.close()
    row = await desk.recorded(msg_id)
    assert (row.status, row.error) == (Status.SUCCESS, None)


async def test_many_cells_in_a_row_are_told_apart(desk: Desk) -> None:
    codes = [SHOW, FAIL, CAUGHT] * 5
    sent = [desk.tab.send(code, stop_on_error=False) for code in [FAIL, *codes]]
    rows = [await desk.recorded(msg_id) for msg_id in sent[1:]]
    assert [row.status for row in rows] == [Status.SUCCESS, Status.ERROR, Status.SUCCESS] * 5


async def test_an_error_whose_answer_nobody_hears_stays_an_error(
    desk: Desk, jp_serverapp: Any
) -> None:
    client = direct_client(jp_serverapp, desk.kernel_id)
    try:
        failed = await desk.recorded(client.execute(FAIL))
        shown = await desk.recorded(client.execute(SHOW))
    finally:
        client.stop_channels()
    assert failed.status is Status.ERROR
    assert shown.status is Status.ERROR  # the answer goes to that client alone


async def test_one_msg_id_for_every_request_never_hides_an_error(desk: Desk, kept: Kept) -> None:
    for number, code in enumerate(["1", FAIL, "2", FAIL]):
        await desk.tab.run(code, msg_id="always-the-same")
        await until(lambda: len(kept.rows) == number + 1, "one more row")  # noqa: B023
    assert sorted(row.status for row in kept.rows.values()) == ["error", "error"] + ["success"] * 2


async def test_answers_that_cannot_be_read_cost_no_row(
    desk: Desk, recorder: ServerRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: Any) -> Any:
        raise ValueError("no answer looks like that")

    monkeypatch.setattr("blackroad_nb.server.answers._read_all", unreadable)
    assert (await desk.run(FAIL)).status is Status.ERROR
    assert recorder.health()["faults"]["answers"] >= 1


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


async def test_a_killed_kernel_leaves_killed_and_aborted_rows(
    desk: Desk, jp_serverapp: Any
) -> None:
    first = await desk.tab.running(desk.tab.send("import time; time.sleep(60)"))
    second = desk.tab.send("print('behind')")
    os.kill(kernel_pid(jp_serverapp, desk.kernel_id), signal.SIGKILL)
    killed = await desk.recorded(first)
    assert killed.status is Status.KILLED
    assert killed.error is not None
    assert killed.error.startswith("The kernel died while this cell ran. It was killed by signal 9")
    waiting = await desk.recorded(second)
    assert waiting.status is Status.ABORTED
    assert waiting.source == "print('behind')"
    assert (await desk.run_when_ready("2 + 2")).status is Status.SUCCESS


@pytest.mark.parametrize("code", ["os._exit(1)", "os.kill(os.getpid(), 9)"])
async def test_a_cell_that_ends_its_kernel_at_once_is_killed(desk: Desk, code: str) -> None:
    await desk.run("import os")
    row = await desk.recorded(desk.tab.send(code))
    assert (row.status, row.source) == (Status.KILLED, code)
    # A test that ends during the restart leaves the new process behind.
    assert (await desk.run_when_ready("2 + 2")).status is Status.SUCCESS


async def test_a_restart_right_after_a_cell_was_sent_is_no_success(
    desk: Desk, jp_fetch: Any
) -> None:
    await desk.run("import time")
    msg_id = desk.tab.send("time.sleep(60)")
    await jp_fetch(
        "api", "kernels", desk.kernel_id, "restart", method="POST", allow_nonstandard_methods=True
    )
    row = await desk.recorded(msg_id)
    assert row.status in (Status.KILLED, Status.ABORTED)


async def test_a_restart_by_the_user_is_no_keyboard_interrupt(desk: Desk, jp_fetch: Any) -> None:
    msg_id = await desk.tab.running(desk.tab.send("import time; time.sleep(60)"))
    await jp_fetch(
        "api", "kernels", desk.kernel_id, "restart", method="POST", allow_nonstandard_methods=True
    )
    row = await desk.recorded(msg_id)
    assert row.status is Status.KILLED
    assert row.error is not None
    assert "restarted" in row.error.splitlines()[0]
    after = await desk.run_when_ready("3 + 3")
    assert (after.status, after.execution_count) == (Status.SUCCESS, 1)


async def test_a_shut_down_kernel_closes_what_ran_and_what_waited(
    desk: Desk, recorder: ServerRecorder, jp_fetch: Any
) -> None:
    first = await desk.tab.running(desk.tab.send("import time; time.sleep(60)"))
    second = desk.tab.send("print('behind')")
    await until(lambda: recorder.health()["open"] == 2, "both requests")
    await jp_fetch("api", "kernels", desk.kernel_id, method="DELETE")
    assert (await desk.recorded(first)).status is Status.KILLED
    assert (await desk.recorded(second)).status is Status.ABORTED


async def test_what_runs_when_the_server_stops_is_closed(
    desk: Desk, recorder: ServerRecorder, kept: Kept
) -> None:
    first = await desk.tab.running(desk.tab.send("import time; time.sleep(60)"))
    second = desk.tab.send("print('behind')")
    await until(lambda: recorder.health()["open"] == 2, "both requests")
    await asyncio.wait_for(recorder.stop(), 10)
    killed, waiting = kept.find(desk.kernel_id, first), kept.find(desk.kernel_id, second)
    assert killed is not None
    assert (killed.status, killed.error) == (
        Status.KILLED,
        "The server stopped while this cell ran.",
    )
    assert waiting is not None
    assert (waiting.status, waiting.error) == (
        Status.ABORTED,
        "The server stopped before the kernel came to this cell.",
    )
    assert recorder.health()["state"] == "off"


async def test_a_closed_tab_changes_nothing(desk: Desk) -> None:
    msg_id = desk.tab.send("import time; time.sleep(1); 'late'", cell_id="c")
    await desk.tab.running(msg_id)
    await desk.tab.close()
    row = await desk.recorded(msg_id)
    assert (row.status, row.cell_id) == (Status.SUCCESS, "c")


async def test_two_tabs_on_one_kernel(desk: Desk, jp_ws_fetch: Any) -> None:
    other = await open_browser(jp_ws_fetch, desk.kernel_id)
    mine = desk.tab.send("'mine'", cell_id="a")
    theirs = other.send("'theirs'", cell_id="b")
    rows = [await desk.recorded(mine), await desk.recorded(theirs)]
    assert [(row.source, row.cell_id) for row in rows] == [("'mine'", "a"), ("'theirs'", "b")]
    await other.close()


async def test_a_direct_client_is_recorded_too(desk: Desk, jp_serverapp: Any) -> None:
    client = direct_client(jp_serverapp, desk.kernel_id)
    try:
        row = await desk.recorded(client.execute("x = 'direct'"))
        failed = await desk.recorded(client.execute("1/0"))
    finally:
        client.stop_channels()
    assert (row.status, row.source, row.cell_id) == (Status.SUCCESS, "x = 'direct'", None)
    assert (row.user, row.user_source) == (getpass.getuser(), "os")
    assert failed.status is Status.ERROR


async def published(client: AsyncKernelClient, msg_id: str) -> list[dict[str, Any]]:
    """All that IOPub says about a request, without what differs each time."""
    said = []
    while not said or said[-1]["content"] != {"execution_state": "idle"}:
        message = await client.get_iopub_msg(timeout=30)
        if message["parent_header"].get("msg_id") == msg_id:
            parts = {part: message[part] for part in ("metadata", "content", "parent_header")}
            parts["parent_header"] = sorted(message["parent_header"])
            said.append({"type": message["msg_type"], **parts})
    return said


async def test_a_direct_clients_aborted_cell_looks_like_a_silent_request(
    desk: Desk, jp_serverapp: Any, kept: Kept
) -> None:
    """When this fails, kernels have begun to tell them apart: record the aborted one."""
    client = direct_client(jp_serverapp, desk.kernel_id)
    try:
        failing = client.execute("import time; time.sleep(0.5); 1/0")
        behind = client.execute("'never'")
        aborted = await published(client, behind)
        reply = await client.get_shell_msg(timeout=30)
        while reply["parent_header"]["msg_id"] != behind:
            reply = await client.get_shell_msg(timeout=30)
        assert reply["content"]["status"] == "aborted"
        silent = await published(client, client.execute("x = 1", silent=True))
        await desk.recorded(client.execute("'after'"))
    finally:
        client.stop_channels()
    assert [part["type"] for part in aborted] == ["status", "status"]
    assert aborted == silent
    assert kept.find(desk.kernel_id, failing) is not None
    assert len(kept.rows) == 2


async def test_a_claimed_request_is_left_alone(
    desk: Desk, recorder: ServerRecorder, jp_serverapp: Any, kept: Kept
) -> None:
    client = direct_client(jp_serverapp, desk.kernel_id)
    try:
        recorder.claim(desk.kernel_id, client.execute("'claimed'"))
        await desk.recorded(client.execute("'free'"))
    finally:
        client.stop_channels()
    assert [row.source for row in kept.rows.values()] == ["'free'"]


async def test_a_claim_may_come_before_its_kernel_is_watched(
    recorder: ServerRecorder, jp_serverapp: Any, kept: Kept
) -> None:
    kernel_id = await jp_serverapp.kernel_manager.start_kernel(kernel_name="python3")
    client = direct_client(jp_serverapp, kernel_id)
    try:
        recorder.claim(kernel_id, client.execute("'claimed'"))
        free = client.execute("'free'")
        await until(lambda: kept.find(kernel_id, free), "the free row")
    finally:
        client.stop_channels()
    assert [row.source for row in kept.rows.values()] == ["'free'"]


async def test_claims_for_kernels_that_nobody_watches_are_bounded(jp_serverapp: Any) -> None:
    recorder = ServerRecorder(jp_serverapp, options=RecorderOptions(enabled=False))
    for number in range(CLAIM_LIMIT + 1):
        recorder.claim("kernel", f"cell-{number}")
    assert len(recorder._claims) == CLAIM_LIMIT


async def test_health_remembers_what_ended_kernels_lost(
    desk: Desk, recorder: ServerRecorder, jp_fetch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = MessageReader.read

    def without_idle(self: MessageReader, frames: list[bytes]) -> Event | None:
        event = read(self, frames)
        return None if isinstance(event, Idle) else event

    monkeypatch.setattr(MessageReader, "read", without_idle)
    desk.tab.send("'its idle message is lost'")
    desk.tab.send("'the next'")
    await until(lambda: recorder.health()["ends_lost"] == 1, "the lost end")
    await jp_fetch("api", "kernels", desk.kernel_id, method="DELETE")
    await until(lambda: recorder.health()["kernels"] == 0, "the kernel's end")
    assert recorder.health()["ends_lost"] == 1


async def test_a_kernel_without_notebook_has_no_path(
    recorder: ServerRecorder, jp_serverapp: Any, jp_ws_fetch: Any, kept: Kept
) -> None:
    session = await jp_serverapp.session_manager.create_session(
        path="console-1", name="c", type="console", kernel_name="python3"
    )
    tab = await open_browser(jp_ws_fetch, session["kernel"]["id"])
    msg_id = await tab.run("1")
    row = await until(lambda: kept.find(session["kernel"]["id"], msg_id), "the row")
    assert row.path is None
    await tab.close()


async def test_the_first_cell_of_a_fresh_kernel_is_not_missed(
    recorder: ServerRecorder, jp_serverapp: Any, kept: Kept
) -> None:
    kernel_id = await jp_serverapp.kernel_manager.start_kernel(kernel_name="python3")
    client = direct_client(jp_serverapp, kernel_id)
    try:
        msg_id = client.execute("'first'")  # waits in the socket until the kernel is up
        row = await until(lambda: kept.find(kernel_id, msg_id), "the first cell's row")
    finally:
        client.stop_channels()
    assert row.source == "'first'"


async def test_a_kernel_that_is_shut_down_while_it_starts_is_no_fault(
    recorder: ServerRecorder, jp_serverapp: Any
) -> None:
    kernel_id = await jp_serverapp.kernel_manager.start_kernel(kernel_name="python3")
    await jp_serverapp.kernel_manager.shutdown_kernel(kernel_id, now=True)
    await asyncio.sleep(ACTIVITY_WAIT_SECONDS + 0.2)  # as long as the recorder looks for it
    assert recorder.health()["faults"] == {}
    assert recorder.health()["kernels"] == 0


async def test_kernels_that_run_already_are_watched(
    jp_serverapp: Any, jp_ws_fetch: Any, kept: Kept
) -> None:
    kernel_id = await jp_serverapp.kernel_manager.start_kernel(kernel_name="python3")
    recorder = ServerRecorder(jp_serverapp, RecordWriter(kept, lambda: datetime.now(UTC)))
    await recorder.start()
    tab = await open_browser(jp_ws_fetch, kernel_id)
    msg_id = await tab.run("'already'")
    await until(lambda: kept.find(kernel_id, msg_id), "the row")
    await tab.close()
    await recorder.stop()


@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_rename_in_the_middle_of_a_run(
    desk: Desk, recorder: ServerRecorder, jp_fetch: Any, jp_root_dir: Path, slash: str
) -> None:
    moves: list[tuple[Any, ...]] = []
    recorder._writer.rename = lambda *a, **k: moves.append((*a, *k.values()))  # type: ignore[union-attr,method-assign]
    before, after = real(jp_root_dir, "nb.ipynb"), real(jp_root_dir, "other name.ipynb")
    assert (await desk.run("1")).path == before
    msg_id = await desk.tab.running(desk.tab.send("import time; time.sleep(1)"))
    new = {"path": f"{slash}other name.ipynb"}
    await jp_fetch("api", "contents", "nb.ipynb", method="PATCH", body=json.dumps(new))
    row = await desk.recorded(msg_id)  # the session does not know of it yet
    assert row.path == after
    await jp_fetch("api", "sessions", desk.session_id, method="PATCH", body=json.dumps(new))
    assert (await desk.run("2")).path == after
    assert moves == [(before, after, False)]


async def test_a_notebook_that_takes_another_kernel_keeps_its_cells_on_the_old_one(
    desk: Desk, recorder: ServerRecorder, jp_fetch: Any, jp_root_dir: Path
) -> None:
    first = await desk.tab.running(desk.tab.send("import time; time.sleep(60)"))
    second = desk.tab.send("print('behind')")
    await until(lambda: recorder.health()["open"] == 2, "both requests")
    other = json.dumps({"kernel": {"name": "python3"}})
    await jp_fetch("api", "sessions", desk.session_id, method="PATCH", body=other)
    rows = [await desk.recorded(first), await desk.recorded(second)]
    assert [row.status for row in rows] == [Status.KILLED, Status.ABORTED]
    assert [row.path for row in rows] == [real(jp_root_dir, "nb.ipynb")] * 2


async def test_one_msg_id_for_every_request(desk: Desk, kept: Kept) -> None:
    for number in range(3):
        await desk.tab.run(f"{number}", msg_id="always-the-same")
        await until(lambda: len(kept.rows) == number + 1, "one more row")  # noqa: B023
    assert sorted(row.source for row in kept.rows.values()) == ["0", "1", "2"]


async def test_what_runs_long_is_stored_before_it_ends(desk: Desk, kept: Kept) -> None:
    msg_id = desk.tab.send("import time; time.sleep(2.5)")
    name = execution_id(desk.kernel_id, msg_id)
    pending = await until(lambda: kept.rows.get(name), "the pending row")
    assert pending.status is Status.PENDING
    assert pending.source == "import time; time.sleep(2.5)"
    row = await desk.recorded(msg_id)
    assert row.duration_ms is not None
    assert 2400 <= row.duration_ms <= 4000


async def test_malformed_messages_are_counted_and_cells_go_on(
    desk: Desk, recorder: ServerRecorder
) -> None:
    header = {"msg_id": 7, "msg_type": "execute_request", "session": "s", "username": "u"}
    desk.tab.write(pack_v1("shell", header, {}, {"code": "1", "silent": False}))
    await until(lambda: recorder.health()["faults"].get("websocket"), "the fault")
    assert (await desk.run("'fine'")).status is Status.SUCCESS
    assert "TypeError" in recorder.health()["last_fault"]


async def test_hostile_text_does_not_spoil_the_batch(desk: Desk) -> None:
    source = "'\ud800 \x00 \U0001f389'"
    row = await desk.run(source, cell_id="\udfff" + "c" * 5000)  # ends as the kernel likes
    assert row.source == source.replace("\ud800", "?")
    for text in (row.source, row.cell_id, row.error):
        assert text is None or text.encode("utf-8")
    assert row.cell_id is not None
    assert len(row.cell_id) == 500
    assert (await desk.run("'after'")).status is Status.SUCCESS


async def test_a_flood_of_output_loses_nothing(desk: Desk) -> None:
    row = await desk.run("import sys\nfor i in range(5000): print(i); sys.stdout.flush()")
    assert row.status is Status.SUCCESS
    assert (await desk.run("'after'")).status is Status.SUCCESS


async def test_a_fault_in_the_tracker_never_reaches_a_cell(
    desk: Desk, recorder: ServerRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug of ours")

    with monkeypatch.context() as patch:
        patch.setattr(ExecutionTracker, "feed", broken)
        msg_id = await desk.tab.run("'goes on'")
        assert desk.tab.said(msg_id, "execute_reply")[0]["status"] == "ok"
        await until(lambda: recorder.health()["faults"].get("tracker"), "the fault")
    assert (await desk.run("'recorded again'")).status is Status.SUCCESS


async def test_subshells_run_beside_the_main_shell(desk: Desk, jp_serverapp: Any) -> None:
    client = direct_client(jp_serverapp, desk.kernel_id)
    try:
        request = client.session.msg("create_subshell_request")
        client.control_channel.send(request)
        subshell = (await client.control_channel.get_msg(timeout=20))["content"]["subshell_id"]
    finally:
        client.stop_channels()
    slow = await desk.tab.running(desk.tab.send("import time; time.sleep(1.5); 'slow'"))
    quick = await desk.recorded(desk.tab.send("'quick'", subshell=subshell))
    row = await desk.recorded(slow)
    assert (quick.status, row.status) == (Status.SUCCESS, Status.SUCCESS)
    assert quick.finished_at is not None
    assert row.finished_at is not None
    assert quick.finished_at < row.finished_at
    assert row.duration_ms is not None
    assert row.duration_ms >= 1500


async def test_a_manager_that_notes_no_activity_gets_a_socket_of_ours(
    recorder: ServerRecorder,
    jp_serverapp: Any,
    jp_ws_fetch: Any,
    jp_fetch: Any,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("blackroad_nb.server.iopub_source.activity_stream", lambda _: None)
    kernel_id = await jp_serverapp.kernel_manager.start_kernel(kernel_name="python3")
    tab = await open_browser(jp_ws_fetch, kernel_id)
    desk = Desk(kernel_id, "", tab, kept)
    assert (await desk.run("'own'")).source == "'own'"
    assert isinstance(recorder._watched[kernel_id].tap._source, OwnSource)
    flood = await desk.run("import sys\nfor i in range(3000): print(i); sys.stdout.flush()")
    assert flood.status is Status.SUCCESS
    await jp_fetch(
        "api", "kernels", kernel_id, "restart", method="POST", allow_nonstandard_methods=True
    )
    assert (await desk.run_when_ready("'again'")).source == "'again'"
    await tab.close()


async def test_answers_leave_at_once(desk: Desk) -> None:
    (connection,) = ZMQChannelsWebsocketConnection._open_sockets
    stream = connection.websocket_handler.ws_connection.stream
    assert stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


async def test_a_stream_that_is_closed_under_the_tap_is_replaced(
    desk: Desk, jp_serverapp: Any, recorder: ServerRecorder
) -> None:
    manager = jp_serverapp.kernel_manager
    before = recorder._watched[desk.kernel_id].tap
    manager.stop_watching_activity(desk.kernel_id)
    manager.start_watching_activity(desk.kernel_id)
    await until(lambda: recorder._watched[desk.kernel_id].tap is not before, "another tap")
    assert (await desk.run_when_ready("'still here'")).status is Status.SUCCESS
