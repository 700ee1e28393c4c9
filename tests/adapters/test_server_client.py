"""Following a run whose stream breaks: tried again from where it broke, then given up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from blackroad_nb.adapters import server_client
from blackroad_nb.adapters.server_client import ServerAddress, ServerClient
from blackroad_nb.errors import ServerUnreachable

OPENING = "retry: 1000\n\n"
HEARTBEAT = ": still here\n\n"
STARTED = 'id: 1\nevent: cell_started\ndata: {"index": 0}\n\n'
FINISHED = 'id: 2\nevent: run_finished\ndata: {"status": "success"}\n\n'


@dataclass
class Streams:
    """A server that sends one of these texts to each connection, and then hangs up."""

    url: str
    texts: list[str | int]
    asked_after: list[str | None] = field(default_factory=list)


@contextmanager
def streams(*texts: str | int) -> Iterator[Streams]:
    """Serve the texts; a number is a status without a stream, and the last one repeats."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked_after.append(self.headers["Last-Event-ID"])
            text = served.texts.pop(0) if len(served.texts) > 1 else served.texts[0]
            self.send_response(text if isinstance(text, int) else 200)
            self.end_headers()
            if isinstance(text, str):
                self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Streams(f"http://127.0.0.1:{server.server_port}/", list(texts))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def watch(served: Streams) -> list[str]:
    """Follow with no patience at all: nothing may be counted from before the break."""
    client = ServerClient(ServerAddress(served.url), patience_seconds=0.0)
    return [event.kind for event in client.watch_run("a-run")]


def test_a_stream_that_breaks_after_silence_is_taken_up_again() -> None:
    with streams(OPENING + STARTED, FINISHED) as served:
        assert watch(served) == ["cell_started", "run_finished"]
        assert served.asked_after == [None, "1"]


def test_a_heartbeat_shows_that_the_server_is_there_again() -> None:
    with streams(STARTED, OPENING + HEARTBEAT, HEARTBEAT, OPENING, FINISHED) as served:
        assert watch(served) == ["cell_started", "run_finished"]
        assert served.asked_after == [None, "1", "1", "1", "1"]


@pytest.mark.parametrize("nothing", ["", 502, 504])
def test_a_server_that_says_nothing_more_is_given_up(nothing: str | int) -> None:
    with streams(STARTED, nothing) as served:
        with pytest.raises(ServerUnreachable, match="No notebook server answers"):
            watch(served)
        assert served.asked_after == [None, "1"]


def test_a_break_that_lasts_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_client, "_BRIEF_SECONDS", -1.0)
    told: list[float] = []
    with streams(STARTED, "", "", FINISHED) as served:
        client = ServerClient(ServerAddress(served.url), patience_seconds=60.0)
        events = client.watch_run("a-run", on_break=told.append)
        assert [event.kind for event in events] == ["cell_started", "run_finished"]
    assert len(told) == 1
    assert told[0] <= 60
