"""A server extension that switches the recorder while the server runs.

Two processes of the same program differ by more than what is measured here, so
recording on and off are compared within one. Off is what `record = False` gives: no
recorder, and websockets that nobody watches. `sparing_activity`, which by itself works
only while recording, can be kept when recording is off, so that both sides have it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from tornado import web

from blackroad_nb.managers.recording import RecordWriter
from blackroad_nb.server.iopub_source import SharedSource, activity_stream
from blackroad_nb.server.websocket_tap import SETTING, WatchedConnection, improved


class SwitchHandler(JupyterHandler):
    """POST benchmark/recording/on or off, `?sparing=1` or 0; answers with the health.

    Websockets that are opened afterwards are watched, or not.
    """

    savings: dict[str, SharedSource] = {}  # noqa: RUF012  # one server in the process
    classes: dict[str, type] = {}  # noqa: RUF012

    @web.authenticated
    async def post(self, state: str) -> None:
        recorder = self.settings["parts_of_blackroad"]().recorder
        sparing = self.get_argument("sparing") == "1"
        await recorder.stop()
        self.settings[SETTING] = self._connection_class(state)
        while self.savings:
            self.savings.popitem()[1].close()
        if state == "on":
            recorder._ears._sparing = sparing
            store = self.settings["parts_of_blackroad"]().store
            await recorder.start(RecordWriter(store, lambda: datetime.now(UTC)))
        elif sparing:
            self._save_without_recording()
        self.finish(recorder.health())

    def _save_without_recording(self) -> None:
        """Put only the saving between each kernel's messages and the server's notes."""
        for kernel_id in self.kernel_manager.list_kernel_ids():
            stream = activity_stream(self.kernel_manager.get_kernel(kernel_id))
            assert stream is not None
            source = SharedSource(stream, sparing=True)
            stream.on_recv(source._hear)  # not `open`: it would keep what nobody takes
            self.savings[kernel_id] = source

    def _connection_class(self, state: str) -> type:
        if not self.classes:
            watched: type = self.settings[SETTING]
            assert issubclass(watched, WatchedConnection)
            stock = next(
                base for base in watched.__mro__ if base.__module__.startswith("jupyter_server.")
            )
            self.classes.update(on=watched, off=improved(stock, None, nodelay=True))
        return self.classes[state]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "recording_switch"}]


def _load_jupyter_server_extension(app: Any) -> None:
    points = app.extension_manager.extension_points
    app.web_app.settings["parts_of_blackroad"] = lambda: points["blackroad_nb"].app.parts
    pattern = app.base_url + "benchmark/recording/(on|off)"
    app.web_app.add_handlers(".*$", [(pattern, SwitchHandler)])
