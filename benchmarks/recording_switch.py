"""A server extension that switches the recorder while the server runs.

Two processes of the same program differ by more than what is measured here, so
recording on and off are compared within one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from tornado import web

from blackroad_nb.managers.recording import RecordWriter


class SwitchHandler(JupyterHandler):
    """POST benchmark/recording/on or off; answers with the recorder's health."""

    @web.authenticated
    async def post(self, state: str) -> None:
        parts = self.settings["parts_of_blackroad"]()
        await parts.recorder.stop()
        if state == "on":
            await parts.recorder.start(RecordWriter(parts.store, lambda: datetime.now(UTC)))
        self.finish(parts.recorder.health())


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "recording_switch"}]


def _load_jupyter_server_extension(app: Any) -> None:
    points = app.extension_manager.extension_points
    app.web_app.settings["parts_of_blackroad"] = lambda: points["blackroad_nb"].app.parts
    pattern = app.base_url + "benchmark/recording/(on|off)"
    app.web_app.add_handlers(".*$", [(pattern, SwitchHandler)])
