"""The hub's own process, as `up` starts it: JupyterHub that starts sooner. Not for people."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

from blackroad_nb.adapters.lean_imports import (
    pause_collecting,
    resume_collecting,
    skip_unused_imports,
)


def serve(claim_descriptor: int, config: str) -> None:
    """Run JupyterHub with this configuration until it is stopped.

    Args:
        claim_descriptor: the lock that says this process lives; its children get none of it.
    """
    os.set_inheritable(claim_descriptor, False)
    pause_collecting()
    skip_unused_imports()
    hub: Any = import_module("jupyterhub.app").JupyterHub
    resume_collecting()
    hub.launch_instance(["--config", config])


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
