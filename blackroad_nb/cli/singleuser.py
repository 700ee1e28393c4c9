"""`singleuser`: the server of one session, as a hub's spawner starts it. Not for people.

It is `jupyterhub-singleuser` that starts sooner: the process is ours alone, so what
nobody asks of it need not be imported. Options are handed on as they are.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from blackroad_nb.adapters.lean_imports import (
    pause_collecting,
    resume_collecting,
    skip_unused_imports,
)

# JupyterHub's session side imports its hub side along: the pages for one class that a
# type check names, the database for functions that only a hub calls. Half the start.
_HUB_SIDE: dict[str, dict[str, Any]] = {
    "jupyterhub.orm": {},
    "jupyterhub.handlers": {},
    "jupyterhub.handlers.pages": {"HealthCheckHandler": type("HealthCheckHandler", (), {})},
    "sqlalchemy": {"func": None},
    "sqlalchemy.exc": {"SQLAlchemyError": type("SQLAlchemyError", (Exception,), {})},
}
_LATER = ("requests",)  # for one list that JupyterLab reads only when it is told to
_ABSENT = ("aiodns",)  # the hub is found by its address
# Installing JupyterLab extensions would change a container that is gone after a stop.
_OPTIONS = ("--LabApp.extension_manager=readonly",)

LEAVE_SECONDS = 1.0


def serve(options: Sequence[str]) -> int:
    """Serve until the hub or the spawner ends the session."""
    pause_collecting()
    skip_unused_imports()
    _ask_nothing()
    for name in _ABSENT:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    for name in _LATER:
        if name not in sys.modules:
            sys.modules[name] = _Later(name)
    with _without_hub_side():
        app: Any = import_module("jupyterhub.singleuser.extension").JupyterHubSingleUser
    server = app.initialize_server(argv=[*_OPTIONS, *options])
    resume_collecting()
    server.start()
    leave()
    return 0


def leave(seconds: float = LEAVE_SECONDS) -> None:
    """Let the process end: give its threads a moment, then go without them.

    A request that a stop cuts off leaves a thread of anyio behind that nobody tells to
    end, and Python would wait for it until the spawner kills the process.
    """
    deadline = time.monotonic() + seconds
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                logging.shutdown()
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(0)


@contextmanager
def _without_hub_side() -> Iterator[None]:
    """Let JupyterHub be imported with stand-ins; whoever asks later gets the real modules."""
    placed = [name for name in _HUB_SIDE if name not in sys.modules]
    for name in placed:
        module = ModuleType(name)
        vars(module).update(_HUB_SIDE[name])
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in placed:
            del sys.modules[name]


class _Later(ModuleType):
    """A module that is imported when something of it is used."""

    def __getattr__(self, attribute: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), attribute)


def _ask_nothing() -> None:
    """Give JupyterLab our defaults: no news from elsewhere, so no question about them."""
    paths = [os.path.dirname(__file__), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, paths))
