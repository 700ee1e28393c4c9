"""Kernels: this process's own, or the ones of the Jupyter server we live in.

Importing this imports nothing heavy; the runners load at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blackroad_nb.adapters.kernels.local import LocalKernelRunner
    from blackroad_nb.adapters.kernels.server import ServerKernelRunner

__all__ = ["LocalKernelRunner", "ServerKernelRunner"]


def __getattr__(name: str) -> Any:
    if name == "LocalKernelRunner":
        from blackroad_nb.adapters.kernels.local import LocalKernelRunner

        return LocalKernelRunner
    if name == "ServerKernelRunner":
        from blackroad_nb.adapters.kernels.server import ServerKernelRunner

        return ServerKernelRunner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
