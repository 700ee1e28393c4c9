"""A session that is up at once: the hub's side is what is tested, not JupyterLab.

It says `TINY_SAYS`, and `TINY_DELAY` seconds pass before it listens, or as long as
there is no file `TINY_AWAITS`; with `TINY_EXIT` it ends with that code instead.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COMMAND = [sys.executable, "-S", __file__]
CONFIG = f"c.LocalSpawner.cmd = {COMMAND!r}\n"


class Handler(BaseHTTPRequestHandler):
    """Answers everything, and `…/environment` with what it was started with."""

    def do_GET(self) -> None:
        told = dict(os.environ) if self.path.endswith("/environment") else {"version": "tiny"}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-JupyterHub-Version", os.environ.get("TINY_VERSION", "6.1.1"))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def main() -> None:
    # A container's first process gets no signal that it has not asked for.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    time.sleep(float(os.environ.get("TINY_DELAY", "0")))
    while not os.path.exists(os.environ.get("TINY_AWAITS", "/")):
        time.sleep(0.02)
    print(os.environ.get("TINY_SAYS", ""), flush=True)
    if code := os.environ.get("TINY_EXIT"):
        sys.exit(int(code))
    address = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    ThreadingHTTPServer((address.hostname or "", address.port or 0), Handler).serve_forever()


if __name__ == "__main__":
    main()
