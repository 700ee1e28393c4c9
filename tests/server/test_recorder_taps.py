"""The two taps by themselves: what they read, and what they leave as it was."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from cells import pack_v1
from jupyter_client.session import Session
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.serverapp import ServerApp

from blackroad_nb.core.witness import Busy, Event, Failed, Idle, Input
from blackroad_nb.server.gathering import (
    BUSY_SECONDS,
    GATHER_SECONDS,
    POURING,
    READ_AT_ONCE,
    Gathering,
)
from blackroad_nb.server.iopub_source import NOTE_SECONDS, SharedSource
from blackroad_nb.server.iopub_tap import MessageReader
from blackroad_nb.server.names import Names
from blackroad_nb.server.recorder import RecorderOptions, ServerRecorder
from blackroad_nb.server.websocket_tap import SETTING, improved, read_legacy, read_request, read_v1

KEY = b"a key of this test"
WHEN = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
REQUEST = {"msg_id": "m", "msg_type": "execute_request", "session": "s", "username": "u"}


def message(kind: str, content: Any, parent: Any = REQUEST, key: bytes = KEY) -> list[bytes]:
    """Frames as a kernel publishes them."""
    session = Session(key=key)
    header = {"msg_id": "i", "msg_type": kind, "date": WHEN, "username": "u", "session": "k"}
    sent = {"header": header, "parent_header": parent, "metadata": {}, "content": content}
    return [b"topic", *session.serialize(sent)]


def reader(closing: bool = False) -> MessageReader:
    return MessageReader(SimpleNamespace(session=Session(key=KEY), shutting_down=closing))


BUSY, IDLE = {"execution_state": "busy"}, {"execution_state": "idle"}
ERROR = {"ename": "E", "evalue": "\x1b[1mv\x1b[0m", "traceback": ["\x1b[0;31ma\x1b[0m", 7]}


@pytest.mark.parametrize(
    ("frames", "event"),
    [
        (message("status", BUSY), Busy("m", "execute_request", None, WHEN)),
        (message("status", IDLE), Idle("m", WHEN)),
        (message("status", {"execution_state": "starting"}), None),
        (message("status", BUSY, parent={}), None),
        (
            message("execute_input", {"code": "1", "execution_count": 3}),
            Input("m", "1", 3, None, WHEN),
        ),
        (
            message("execute_input", {"code": "1", "execution_count": "x"}),
            Input("m", "1", None, None, WHEN),
        ),
        (
            message("execute_input", {"code": "1", "execution_count": 2**70}),
            Input("m", "1", None, None, WHEN),
        ),
        (
            message("execute_input", {"code": "1"}, {**REQUEST, "subshell_id": "sub"}),
            Input("m", "1", None, "sub", WHEN),
        ),
        (message("error", ERROR), Failed("m", "E: v\na\n7")),
        (message("error", {}), Failed("m", "Error")),
        (message("stream", {"text": "no"}), None),
        (message("display_data", {"data": {}}), None),
        (message("status", BUSY)[1:], Busy("m", "execute_request", None, WHEN)),
        ([b"a", b"b", *message("status", IDLE)], Idle("m", WHEN)),
    ],
)
def test_what_a_kernel_publishes(frames: list[bytes], event: Event | None) -> None:
    assert reader().read(frames) == event


def test_an_error_tells_whether_the_kernel_is_shut_down() -> None:
    assert reader(closing=True).read(message("error", {})) == Failed("m", "Error", closing=True)


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b"topic"],
        [b"topic", b"no delimiter", b"here"],
        message("status", BUSY)[:4],
        message("status", b"[]"),
        message("status", {}),
        message("status", BUSY, parent=[]),
        message("status", BUSY, parent={"msg_id": 7}),
        message("status", BUSY, parent={"msg_id": "m"}),
        message("execute_input", {"code": 7}),
        message("error", b"[]"),
        message("execute_input", {}),
        message("execute_input", {"code": "forged"}, key=b"another key"),
        [*message("execute_input", {"code": "1"})[:6], b"{" * 5000],
        [*message("status", BUSY)[:6], b'{"a":' * 50_000],
    ],
)
def test_what_cannot_be_read_raises_what_the_tap_counts(frames: list[bytes]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, IndexError, RecursionError)):
        reader().read(frames)


CONTENT = {"code": "1", "silent": False}


@pytest.mark.parametrize(
    ("metadata", "cell_id"),
    [({"cellId": "c"}, "c"), ({}, None), ({"cellId": 7}, None), ({"cellId": "x" * 900}, "x" * 500)],
)
def test_requests_over_both_protocols(metadata: Any, cell_id: str | None) -> None:
    found = read_v1(pack_v1("shell", REQUEST, metadata, CONTENT))
    assert found is not None
    assert (found[0], found[1], json.loads(found[2])) == ("m", cell_id, CONTENT)
    text = json.dumps(
        {"header": REQUEST, "parent_header": {}, "metadata": metadata, "content": CONTENT}
    )
    with_buffers = struct.pack("!3I", 2, 12, 12 + len(text)) + text.encode() + b"buffer"
    for legacy in (text, struct.pack("!2I", 1, 8) + text.encode(), with_buffers):
        found = read_legacy(legacy)
        assert found is not None
        assert (found[0], found[1], json.loads(found[2])) == ("m", cell_id, CONTENT)


def test_other_messages_are_not_read() -> None:
    other = {**REQUEST, "msg_type": "comm_msg", "username": "execute_request"}
    assert read_v1(pack_v1("shell", other, {}, CONTENT)) is None
    assert read_v1(pack_v1("shell", {**other, "username": ""}, {}, CONTENT)) is None
    assert read_legacy(json.dumps({"header": other, "content": CONTENT})) is None
    assert read_legacy('{"header": {}}') is None


class Recorded:
    """A connection class that somebody else has put in place."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.subprotocol = "v1.kernel.websocket.jupyter.org"
        self.kernel_id = "k"
        self.websocket_handler = SimpleNamespace(set_nodelay=self.calls.append)

    def connect(self) -> str:
        return "connected"

    def handle_incoming_message(self, message: Any) -> str:
        self.calls.append(message)
        return "handled"


class Watcher:
    def __init__(self, fails: bool = False) -> None:
        self.sent: list[Any] = []
        self.faults: list[Exception] = []
        self.fails = fails

    def on_sent(self, kernel_id: str, sent: Any) -> None:
        if self.fails:
            raise RuntimeError("a fault of ours")
        self.sent.append((kernel_id, sent))

    def on_fault(self, where: str, error: Exception) -> None:
        self.faults.append(error)


def test_another_connection_class_keeps_working_and_is_watched() -> None:
    watcher = Watcher()
    connection = improved(Recorded, watcher, nodelay=True)()
    assert connection.connect() == "connected"
    sent = pack_v1("shell", REQUEST, {}, CONTENT)
    assert connection.handle_incoming_message(sent) == "handled"
    assert connection.handle_incoming_message(b"garbage") == "handled"
    assert connection.calls == [True, sent, b"garbage"]
    (kernel_id, first), (_, second) = watcher.sent
    request = read_request(first, lambda handler: ("ada", "hub"))
    assert (kernel_id, request and request.msg_id, request and request.user) == ("k", "m", "ada")
    with pytest.raises(struct.error):
        read_request(second, lambda handler: ("ada", "hub"))


def test_a_fault_of_the_watcher_stays_with_the_watcher() -> None:
    watcher = Watcher(fails=True)
    connection = improved(Recorded, watcher, nodelay=False)()
    assert connection.handle_incoming_message(b"") == "handled"
    assert len(watcher.faults) == 1


def test_the_user_behind_a_websocket_is_looked_up_once() -> None:
    watcher = Watcher()
    connection = improved(Recorded, watcher, nodelay=False)()
    for _ in range(2):
        connection.handle_incoming_message(pack_v1("shell", REQUEST, {}, CONTENT))
    asked: list[Any] = []
    for _, sent in watcher.sent:
        read_request(sent, lambda handler: asked.append(handler) or ("ada", "hub"))
    assert asked == [connection.websocket_handler]


def test_a_delay_that_cannot_be_taken_out_does_not_close_the_websocket() -> None:
    def refuse(_: bool) -> None:
        raise OSError("the socket is gone")

    connection = improved(Recorded, None, nodelay=True)()
    connection.websocket_handler.set_nodelay = refuse
    assert connection.connect() == "connected"


def test_each_improvement_can_be_left_out() -> None:
    assert improved(Recorded, None, nodelay=False) is Recorded
    recorder = ServerRecorder(SimpleNamespace(), options=RecorderOptions(False, False))
    settings: dict[str, Any] = {SETTING: Recorded}
    recorder.wrap_websocket(settings)
    assert settings[SETTING] is Recorded
    assert recorder.health()["state"] == "off"


def test_a_class_is_wrapped_once() -> None:
    recorder = ServerRecorder(SimpleNamespace(), options=RecorderOptions())
    settings: dict[str, Any] = {SETTING: Recorded}
    recorder.wrap_websocket(settings)
    wrapped = settings[SETTING]
    assert issubclass(wrapped, Recorded)
    recorder.wrap_websocket(settings)
    assert settings[SETTING] is wrapped


class Stream:
    """As much of a ZMQStream as sharing it needs."""

    def __init__(self, callback: Callable[[list[bytes]], Any]) -> None:
        self._recv_callback = callback

    def on_recv(self, callback: Callable[[list[bytes]], Any]) -> None:
        self._recv_callback = callback

    def closed(self) -> bool:
        return False


def notes_activity(into: list[bytes], name: str) -> Callable[[list[bytes]], Any]:
    def record_activity(frames: list[bytes]) -> None:
        into.append(frames[3])

    record_activity.__qualname__ = name
    return record_activity


def test_sharing_spares_repeated_notes_but_no_status(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[bytes] = []
    name = "MappingKernelManager.start_watching_activity.<locals>.record_activity"
    stream = Stream(notes_activity(noted, name))
    now = [100.0]
    monkeypatch.setattr("blackroad_nb.server.iopub_source.time.monotonic", lambda: now[0])
    source = SharedSource(stream)
    woken: list[int] = []
    source.open(lambda: woken.append(1))
    output, status = message("stream", {}), message("status", IDLE)
    for frames in (output, output, status, output, status):
        stream._recv_callback(frames)
    assert noted == [output[3], status[3], status[3]]
    now[0] += NOTE_SECONDS
    stream._recv_callback(output)
    assert len(noted) == 4
    assert woken == [1]
    assert source.take(1) == [status]  # outputs tell nothing of a cell's way
    assert source.take(4) == [status]
    source.close()
    stream._recv_callback(output)
    assert len(noted) == 5
    assert source.take(4) == []


def test_sharing_spares_nothing_when_told_so() -> None:
    noted: list[bytes] = []
    name = "MappingKernelManager.start_watching_activity.<locals>.record_activity"
    stream = Stream(notes_activity(noted, name))
    SharedSource(stream, sparing=False).open(lambda: None)
    for _ in range(3):
        stream._recv_callback(message("stream", {}))
    assert len(noted) == 3


def test_sharing_hands_everything_to_a_callback_it_does_not_know() -> None:
    noted: list[bytes] = []
    stream = Stream(notes_activity(noted, "somebody_elses"))
    SharedSource(stream).open(lambda: None)
    for _ in range(3):
        stream._recv_callback(message("stream", {}))
    assert len(noted) == 3


@pytest.mark.parametrize("heard", [True, False])
def test_a_socket_that_has_a_message_stays_connected(heard: bool) -> None:
    """In a process of its own: what must not happen is that zmq aborts it."""
    program = f"""
import zmq
from blackroad_nb.server.iopub_source import RECEIVE_LIMIT, quicken
context = zmq.Context()
kernel, ours = context.socket(zmq.XPUB), context.socket(zmq.SUB)
kernel.setsockopt(zmq.XPUB_VERBOSER, 1)
ours.subscribe(b"")
ours.connect("tcp://127.0.0.1:%d" % kernel.bind_to_random_port("tcp://127.0.0.1"))
kernel.recv()  # the subscription
if {heard}:
    kernel.send_multipart([b"a", b"b"])
    ours.poll(10_000)  # zmq looks at the first part
quicken(ours)
if not {heard}:
    kernel.recv()  # the subscription, again
    kernel.send_multipart([b"a", b"b"])
print(ours.recv_multipart(), ours.getsockopt(zmq.RCVHWM) == RECEIVE_LIMIT)
context.destroy(linger=0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "[b'a', b'b'] True\n"), done.stderr


def test_the_server_still_notes_activity_with_the_callback_we_know() -> None:
    """When this fails, Jupyter Server changed what the tap may spare."""
    from jupyter_server.services.kernels.kernelmanager import MappingKernelManager

    code = MappingKernelManager.start_watching_activity.__code__
    assert "record_activity" in [getattr(c, "co_name", "") for c in code.co_consts]


@pytest.mark.parametrize(
    ("environ", "provider", "expected"),
    [
        ({}, IdentityProvider, ("owner", "token")),
        ({}, type("Ldap", (IdentityProvider,), {}), ("ada", "identity")),
        (
            {"JUPYTERHUB_SERVICE_PREFIX": "/user/x/", "JUPYTERHUB_USER": "x"},
            IdentityProvider,
            ("ada", "hub"),
        ),
    ],
)
def test_who_is_behind_a_websocket(
    environ: dict[str, str],
    provider: type[IdentityProvider],
    expected: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "owner")
    handler = SimpleNamespace(
        current_user=User("ada"), settings={"identity_provider": provider(parent=ServerApp())}
    )
    assert Names(environ).behind(handler) == expected


def test_names_of_a_server() -> None:
    hub = Names({"JUPYTERHUB_SERVICE_PREFIX": "/user/x/", "JUPYTERHUB_USER": "x"})
    assert (hub.server(1), hub.owner) == ("/user/x/", ("x", "hub"))
    assert Names({}).server(8888).endswith(":8888")


@dataclass(eq=False)
class FakeTap:
    """Has messages waiting, in portions."""

    portions: list[int]
    open: bool = True

    def drain(self) -> int:
        return self.portions.pop(0)


class Clockwork:
    """A loop's `call_later` that waits for nobody."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._due: list[Callable[[], None]] = []

    def call_later(self, seconds: float, action: Callable[[], None]) -> None:
        self.asked.append(seconds)
        self._due.append(action)

    def turn(self) -> None:
        self._due.pop(0)()


def test_all_that_waits_is_read_at_one_time_and_then_stored() -> None:
    clock, read = Clockwork(), []
    faults: list[Exception] = []
    gathering = Gathering(lambda: read.append(1), faults.append, clock.call_later)
    broken = FakeTap([])  # it raises IndexError
    taps = [FakeTap([3]), FakeTap([READ_AT_ONCE, 7]), FakeTap([], open=False)]
    gathering.note(broken)
    for tap in (*taps, taps[0]):
        gathering.note(tap)
    clock.turn()
    assert [tap.portions for tap in taps] == [[], [7], []]
    clock.turn()
    assert [tap.portions for tap in taps] == [[], [], []]
    assert clock.asked == [GATHER_SECONDS, 0]
    assert read == [1, 1]
    assert [type(fault) for fault in faults] == [IndexError]


def test_what_pours_in_is_read_less_often() -> None:
    clock = Clockwork()
    gathering = Gathering(lambda: None, pytest.fail, clock.call_later)
    for count in (POURING, POURING, POURING, POURING, POURING - 1, 1):
        gathering.note(FakeTap([count]))
        clock.turn()
    assert clock.asked == [GATHER_SECONDS, 0.1, 0.2, BUSY_SECONDS, BUSY_SECONDS, GATHER_SECONDS]
