"""A server extension that sets TCP_NODELAY on kernel websockets, and does nothing else."""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class PromptConnection(ZMQChannelsWebsocketConnection):  # type: ignore[misc]
    def connect(self) -> Any:
        self.websocket_handler.set_nodelay(True)
        return super().connect()


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "nodelay_only"}]


def _load_jupyter_server_extension(app: Any) -> None:
    app.web_app.settings["kernel_websocket_connection_class"] = PromptConnection
