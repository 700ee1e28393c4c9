"""Starting the kernel of `execute` before everything else, from a look into the file."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from blackroad_nb.adapters.kernels.early import EarlyKernel

LARGEST = 1_000_000  # bytes; reading a larger file twice costs what starting early gains


def begin(named: str, asked: str | None = None) -> EarlyKernel | None:
    """Start the kernel that a run of this file will most likely want.

    Args:
        asked: the kernel that the user named; None takes the file's own.

    Only a guess: a run that wants another one gets it, and this one is ended. Returns
    None when it is not plain what the run will want.
    """
    from blackroad_nb.cli.parts import is_path
    from blackroad_nb.config import ROOTS_VARIABLE

    if not is_path(named) or os.environ.get(ROOTS_VARIABLE) or "\0" in named:
        return None
    path = os.path.realpath(os.path.expanduser(named))
    kernel = _kernel_of(path) if asked is None else asked
    if kernel is None or not os.path.isfile(path):
        return None
    from blackroad_nb.adapters.kernels.early import start_early

    return start_early(kernel, os.path.dirname(path), path)


def _kernel_of(path: str) -> str | None:
    import json

    try:
        if not os.path.isfile(path) or os.path.getsize(path) > LARGEST:
            return None
        with open(path, "rb") as file:
            document: Any = json.load(file)
        kernel = document["metadata"]["kernelspec"]["name"]
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return None
    return kernel if isinstance(kernel, str) else None
