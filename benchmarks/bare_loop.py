"""Run a notebook's cells with nothing but ZMQ: the least time that any tool can take.

    python benchmarks/bare_loop.py NOTEBOOK

Starts ipykernel on private sockets, sends the code cells one after another, waits for
each cell's reply and idle status, asks the kernel to end and waits for its process.
It imports pyzmq alone, keeps no outputs, writes no file and checks nothing. The kernel
boots while pyzmq is imported, as with `blackroad-nb execute`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
from itertools import count
from typing import Any

PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
KEY = "benchmark"
DELIMITER = b"<IDS|MSG>"
RECONNECT_MS = 5  # until the sockets of a kernel that boots are tried again
SUBSCRIBED_MS = 50  # after this the first idle status was published before we subscribed


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        connection, sockets = os.path.join(folder, "kernel.json"), os.path.join(folder, "ipc")
        with open(connection, "w") as file:
            ports = {name: number for number, name in enumerate(PORTS, 1)}
            json.dump({**ports, "transport": "ipc", "ip": sockets, "key": KEY}, file)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", connection]
        kernel = subprocess.Popen(
            [*command, "--HistoryManager.hist_file=:memory:"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with open(sys.argv[1]) as file:
            cells = json.load(file)["cells"]
        loop = Loop(sockets)
        while not loop.ask("kernel_info_request", {}, SUBSCRIBED_MS):
            pass
        for cell in cells:
            loop.ask("execute_request", {"code": cell["source"], "store_history": True})
        loop.send("shutdown_request", {"restart": False})
        kernel.wait()
        loop.context.destroy(linger=0)


class Loop:
    """A client with two sockets."""

    def __init__(self, path: str) -> None:
        import zmq

        self.context = zmq.Context()
        self._shell, self._iopub = self.context.socket(zmq.DEALER), self.context.socket(zmq.SUB)
        self._iopub.subscribe(b"")
        for port, socket in enumerate((self._shell, self._iopub), 1):
            socket.reconnect_ivl = RECONNECT_MS
            socket.connect(f"ipc://{path}-{port}")
        self._numbers = count()

    def ask(self, kind: str, content: dict[str, Any], patience: int | None = None) -> bool:
        """Send a request; whether its idle status came, after its reply."""
        parent = f'"{self.send(kind, content)}"'.encode()
        _await(self._shell, parent, b"", None)
        return _await(self._iopub, parent, b'"idle"', patience)

    def send(self, kind: str, content: dict[str, Any]) -> str:
        msg_id = f"message-{next(self._numbers)}"
        header = {"msg_id": msg_id, "msg_type": kind, "session": "s", "username": "", "date": ""}
        fields = ({**header, "version": "5.3"}, {}, {}, content)
        parts = [json.dumps(field).encode() for field in fields]
        signature = hmac.new(KEY.encode(), b"".join(parts), hashlib.sha256).hexdigest()
        self._shell.send_multipart([DELIMITER, signature.encode(), *parts])
        return msg_id


def _await(socket: Any, parent: bytes, mark: bytes, patience: int | None) -> bool:
    """Wait for a message that answers this request and holds the mark."""
    while socket.poll(patience):
        frames = socket.recv_multipart()
        at = frames.index(DELIMITER)
        if parent in frames[at + 3] and mark in frames[at + 5]:
            return True
    return False


if __name__ == "__main__":
    main()
