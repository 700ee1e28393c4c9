"""What is read of a gateway's messages, and what is asked when nothing comes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_server.gateway.connections import GatewayWebSocketConnection

from blackroad_nb.core.witness import (
    Answer,
    Answered,
    Busy,
    Ending,
    Event,
    Failed,
    Idle,
    Input,
    KernelEnded,
)
from blackroad_nb.server.relay import PATIENCE_SECONDS, Relay, RelayedReader, interesting
from blackroad_nb.server.websocket_tap import RelayedConnection, improved

WHEN = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
REQUEST = {"msg_id": "m", "msg_type": "execute_request", "session": "s", "username": "u"}


def message(kind: str, content: Any, parent: Any = REQUEST, msg_id: str = "i") -> str:
    """A message as a Jupyter Server forwards it over the older protocol."""
    header = {"msg_id": msg_id, "msg_type": kind, "date": "2026-11-21T12:00:00.123456Z"}
    return json.dumps(
        {
            "header": header,
            "msg_id": msg_id,
            "msg_type": kind,
            "parent_header": parent,
            "metadata": {},
            "content": content,
            "buffers": [],
            "channel": "shell" if kind.endswith("reply") else "iopub",
        }
    )


BUSY, IDLE = {"execution_state": "busy"}, {"execution_state": "idle"}


@pytest.mark.parametrize(
    ("sent", "event"),
    [
        (message("status", BUSY), Busy("m", "execute_request", None, WHEN)),
        (message("status", IDLE), Idle("m", WHEN)),
        (message("status", {"execution_state": "starting"}, parent={}), None),
        (message("status", {"execution_state": "restarting"}, {}), KernelEnded(Ending.DIED)),
        (message("status", {"execution_state": "dead"}, None), KernelEnded(Ending.DIED)),
        (
            message("execute_input", {"code": "1", "execution_count": 3}),
            Input("m", "1", 3, None, WHEN),
        ),
        (message("error", {"ename": "E", "evalue": "v"}), Failed("m", "E: v")),
        (message("error", {}, parent={}), None),
        (message("execute_reply", {"status": "ok"}), Answered("m")),
        (message("stream", {"text": "status"}), None),
    ],
)
def test_what_a_gateway_forwards(sent: str, event: Event | None) -> None:
    assert RelayedReader().read(sent) == event


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "[]",
        "{}",
        "[" * 200_000,
        message("status", {}),
        message("status", BUSY, {"msg_id": 7}),
        message("status", BUSY, ["m"]),
        message("error", []),
        message("execute_input", []),
        message("execute_input", {}),
        message("execute_reply", {"status": None}),
    ],
)
def test_what_cannot_be_read_raises_what_the_tap_counts(sent: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, RecursionError)):
        RelayedReader().read(sent)


def test_only_messages_of_interest_are_parsed_however_they_are_written() -> None:
    plain = json.dumps({"msg_type": "status"})
    assert interesting(message("status", BUSY))
    assert not interesting(message("display_data", {"data": {"application/json": plain}}))
    assert not interesting(message("display_data", {"data": {"msg_type": "status"}}))
    assert not interesting("{}")
    header_last = '{"content": {"msg_type": "other"}, "header": {"msg_type": "status"}}'
    assert interesting(header_last)


def test_another_tabs_copy_is_noticed() -> None:
    reader = RelayedReader()
    assert reader.read(message("status", BUSY, msg_id="1")) is not None
    assert reader.read(message("status", BUSY, msg_id="1")) is None
    assert reader.read(message("status", BUSY, msg_id="2")) is not None


def test_a_reply_tells_the_error_and_two_of_one_name_tell_nothing() -> None:
    reader = RelayedReader()
    assert reader.answer_of("m") is None
    reader.read(message("execute_reply", {"status": "error", "ename": "E", "evalue": "v"}))
    assert reader.answer_of("m") == Answer("error", "E: v")
    reader.read(message("execute_reply", {"status": "ok"}))
    assert reader.answer_of("m") is None


class Kernel:
    """As much of the server's stand-in as is asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def refresh_model(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer and {"execution_state": answer}


@pytest.mark.parametrize(
    ("answers", "ended"),
    [
        (["idle", "idle"], [False, True]),
        (["idle", "busy", "idle", "idle"], [False, False, False, True]),
        (["starting", "starting"], [False, False]),
        (["dead", "dead"], [False, True]),
        ([None], [True]),
        ([OSError(), "busy", OSError()], [False, False, False]),
        ([OSError(), OSError(), OSError()], [False, False, True]),
    ],
)
async def test_when_a_kernel_nobody_hears_counts_as_done(
    answers: list[Any], ended: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("blackroad_nb.server.relay.time.monotonic", lambda: now[0])
    relay = Relay(Kernel(*answers))
    told = []
    for _ in answers:
        told.append(await relay.ended_unheard())
        assert await relay.ended_unheard() is False  # too early to ask again
        now[0] += PATIENCE_SECONDS / 2
    assert told == ended


def test_a_request_that_waits_for_the_gateway_is_told_once_and_a_lost_one_never() -> None:
    told: list[str] = []
    watcher = SimpleNamespace(
        on_sent=lambda _, sent: told.append(json.loads(sent.message)["header"]["msg_id"]),
        on_fault=lambda *_: told.append("fault"),
    )
    watched = improved(GatewayWebSocketConnection, watcher, nodelay=True)  # type: ignore[arg-type]
    assert issubclass(watched, RelayedConnection)
    request = json.dumps({"header": REQUEST, "content": {"code": "1"}})
    closing = [False]
    protocol = SimpleNamespace(is_closing=lambda: closing[0])
    stand_in = type("StandIn", (RelayedConnection, Handled), {"_watcher": watcher})()
    stand_in.ws, stand_in.disconnected = None, False
    stand_in.handle_incoming_message(request)
    assert told == []
    stand_in.ws = SimpleNamespace(protocol=protocol)
    stand_in.handle_incoming_message(request)
    assert told == ["m"]
    closing[0] = True
    stand_in.handle_incoming_message(request)
    assert told == ["m"]


class Handled:
    """Where the gateway's own connection class stands."""

    kernel_id = "k"
    websocket_handler = None

    def handle_incoming_message(self, message: str) -> None:
        """The original would send it on."""
