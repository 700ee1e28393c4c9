"""BlackRoad Notebooks: team notebooks with an honest meter.

Importing this name imports nothing else; what it offers loads at first use.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers know the name; importing typing costs milliseconds
if TYPE_CHECKING:
    from typing import Any

    from blackroad_nb.local import init_db
    from blackroad_nb.service import JupyterService

__all__ = ["JupyterService", "__version__", "init_db"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "JupyterService":
        from blackroad_nb.service import JupyterService

        return JupyterService
    if name == "init_db":
        from blackroad_nb.local import init_db

        return init_db
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell Jupyter Server where the extension is; called only by the server."""
    from blackroad_nb.server.app import BlackRoadApp

    return [{"module": "blackroad_nb", "app": BlackRoadApp}]
