"""The store and the managers as the commands use them."""

from __future__ import annotations

import argparse
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from blackroad_nb.adapters.sqlite.reader import SqliteReader
    from blackroad_nb.errors import NotebookNotFound
    from blackroad_nb.local import LocalParts

    T = TypeVar("T")


def run_with_parts(
    arguments: argparse.Namespace,
    work: Callable[[LocalParts], Awaitable[T]],
    reading: bool = False,
) -> T:
    """Open the parts, await the work over them, and close them.

    With `reading`, a database that cannot be written will do.
    """
    import asyncio

    from blackroad_nb.config import check_database_folder
    from blackroad_nb.local import local_parts

    keep_log_quiet()
    if reading:
        check_database_folder(os.environ, arguments.db)

    async def opened() -> T:
        async with local_parts(arguments.db, reading=reading) as parts:
            return await work(parts)

    return asyncio.run(opened())


def keep_log_quiet() -> None:
    """Keep libraries' log lines off stderr: what matters is in our one line.

    With BLACKROAD_DEBUG set they are shown.
    """
    import logging

    from blackroad_nb.cli.failures import DEBUG_VARIABLE

    if not os.environ.get(DEBUG_VARIABLE):
        logging.getLogger().addHandler(logging.NullHandler())


def reader(db: str | None) -> SqliteReader:
    """Open the database for reading, without asyncio."""
    from blackroad_nb.adapters.sqlite.reader import SqliteReader
    from blackroad_nb.config import check_database_folder, database_path

    check_database_folder(os.environ, db)
    return SqliteReader(database_path(os.environ, db))


def id_in(store: SqliteReader, named: str) -> str:
    """Return the id of the notebook that was named by id or by path.

    Raises:
        NotebookNotFound: nothing registered is called so.
    """
    if not is_path(named):
        return store.get_notebook(named).id
    resolved = os.path.realpath(os.path.expanduser(named))
    found = store.find_notebook(resolved)
    if found is None:
        raise _not_registered(resolved)
    return found.id


async def notebook_id(parts: LocalParts, named: str) -> str:
    """Return the id of the notebook that was named by id or by path.

    Raises:
        NotebookNotFound: nothing registered is called so.
    """
    if not is_path(named):
        return named
    resolved = str(parts.files.resolve(named))
    found = await parts.store.find_notebook(resolved)
    if found is None:
        raise _not_registered(resolved)
    return found.id


def is_path(named: str) -> bool:
    """Tell a path from an id: ids hold no separator and do not end in .ipynb."""
    return os.sep in named or named.endswith(".ipynb") or named.startswith("~")


def _not_registered(path: str) -> NotebookNotFound:
    from blackroad_nb.errors import NotebookNotFound

    return NotebookNotFound(
        f"{path!r} is not registered; `create NAME PATH --adopt` registers a file."
    )
