"""The routes under /blackroad, one module for each noun."""

from __future__ import annotations

from jupyter_server.base.handlers import JupyterHandler

from blackroad_nb.core.template import LANDING
from blackroad_nb.server.handlers.base import BlackRoadHandler, NothingHere
from blackroad_nb.server.handlers.executions import (
    ExecutionCancel,
    ExecutionEvents,
    Executions,
    OneExecution,
)
from blackroad_nb.server.handlers.exports import Exports, NotebookExport
from blackroad_nb.server.handlers.health import Health
from blackroad_nb.server.handlers.history import History
from blackroad_nb.server.handlers.kernels import KernelCheck, Kernels, OneKernel
from blackroad_nb.server.handlers.notebooks import Notebooks, OneNotebook
from blackroad_nb.server.handlers.openapi import OpenApi
from blackroad_nb.server.handlers.templates import TemplateCopy, Templates
from blackroad_nb.server.handlers.usage import Usage
from blackroad_nb.server.handlers.workspace import WorkspacePage
from blackroad_nb.server.openapi import path_pattern

ROUTES: tuple[tuple[str, type[BlackRoadHandler]], ...] = (
    ("/blackroad/notebooks", Notebooks),
    ("/blackroad/notebooks/{notebook_id}", OneNotebook),
    ("/blackroad/notebooks/{notebook_id}/export", NotebookExport),
    ("/blackroad/executions", Executions),
    ("/blackroad/executions/{run_id}", OneExecution),
    ("/blackroad/executions/{run_id}/events", ExecutionEvents),
    ("/blackroad/executions/{run_id}/cancel", ExecutionCancel),
    ("/blackroad/history", History),
    ("/blackroad/exports", Exports),
    ("/blackroad/kernels", Kernels),
    ("/blackroad/kernels/{name}", OneKernel),
    ("/blackroad/kernels/{name}/check", KernelCheck),
    ("/blackroad/templates", Templates),
    ("/blackroad/templates/{name}/copy", TemplateCopy),
    ("/blackroad/usage", Usage),
    ("/blackroad/health", Health),
    ("/blackroad/openapi.json", OpenApi),
)


def url_handlers() -> list[tuple[str, type[JupyterHandler]]]:
    """Return the patterns for Tornado; what none of them takes is refused in JSON."""
    patterns = [(path_pattern(path), handler) for path, handler in ROUTES]
    return [*patterns, (LANDING, WorkspacePage), (r"/blackroad(?:/.*)?", NothingHere)]
