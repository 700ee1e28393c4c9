"""A socket in front of the real engine that can go away, hang, or answer nonsense."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

PASS, FAULT, SILENT = "pass", "fault", "silent"
_SAID = b'{"message": "disk I/O error"}'
_FAULT = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_SAID), _SAID)
)


class EngineRelay:
    """Listens at `socket_file` and hands on to `target`, as `mode` says."""

    def __init__(self, socket_file: Path, target: str) -> None:
        self.socket_file = socket_file
        self.target = target.removeprefix("unix://")
        self.mode = PASS
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()

    @property
    def address(self) -> str:
        return f"unix://{self.socket_file}"

    def listen(self) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.fspath(self.socket_file))
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def vanish(self) -> None:
        """Be away as an engine that was stopped: nobody listens, and what was open is cut."""
        assert self._listener is not None
        self.socket_file.unlink()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        for each in tuple(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                asker, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(asker,), daemon=True).start()

    def _serve(self, asker: socket.socket) -> None:
        self._open.add(asker)
        with asker:
            if self.mode == PASS:
                with socket.socket(socket.AF_UNIX) as engine:
                    engine.connect(self.target)
                    back = threading.Thread(target=_copy, args=(engine, asker), daemon=True)
                    back.start()
                    _copy(asker, engine)
                    back.join()
            elif self.mode == FAULT:
                asker.recv(65536)
                with contextlib.suppress(OSError):
                    asker.sendall(_FAULT)
            else:
                _copy(asker, None)
        self._open.discard(asker)


@contextlib.contextmanager
def engine_relay(folder: Path, target: str) -> Iterator[EngineRelay]:
    relay = EngineRelay(folder / "engine.sock", target)
    relay.listen()
    yield relay
    if relay.socket_file.exists():
        relay.vanish()


def _copy(source: socket.socket, target: socket.socket | None) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            if target is not None:
                target.sendall(part)
        if target is not None:
            target.shutdown(socket.SHUT_WR)
