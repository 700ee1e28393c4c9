"""Starting the kernel of `execute` before everything else, from a look into the file."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from blackroad_nb.adapters.kernels.early import EarlyKernel

LARGEST = 1_000_000  # bytes; reading a larger file twice costs what starting early gains


def begin(named: str, db: str | None, asked: str | None = None) -> EarlyKernel | None:
    """Start the kernel that a run of this notebook will most likely want.

    Only a guess: a run that wants another one gets it, and this one is ended. Returns
    None when it is not plain what the run will want.

    Args:
        named: its id or path.
        db: the database that was named, if one was.
        asked: the kernel that the user named; None takes the file's own.
    """
    from blackroad_nb.cli.parts import is_path
    from blackroad_nb.config import ROOTS_VARIABLE

    if os.environ.get(ROOTS_VARIABLE) or "\0" in named:
        return None
    found = os.path.expanduser(named) if is_path(named) else _registered(named, db)
    if found is None:
        return None
    path = os.path.realpath(found)
    kernel = _kernel_of(path) if asked is None else asked
    if kernel is None or not os.path.isfile(path):
        return None
    from blackroad_nb.adapters.kernels.early import start_early

    return start_early(kernel, os.path.dirname(path), path)


def _registered(notebook_id: str, db: str | None) -> str | None:
    from blackroad_nb.adapters.sqlite.glance import notebook_path
    from blackroad_nb.config import database_file

    return notebook_path(database_file(os.environ, db), notebook_id)


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
