"""Whether the databases in a state folder are ones that this installation can go on with."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from blackroad_nb.errors import StoreCorrupt, StoreTooNew

HUB_DATABASE, SESSION_DATABASE = "jupyterhub.sqlite", "sessions.db"


def check_databases(folder: Path) -> None:
    """Look before a hub is started: it would end with a long text in a log.

    Raises:
        StoreTooNew: a newer version of JupyterHub or of this package wrote there.
        StoreCorrupt: a file is none that can be read.
    """
    _check_hub_database(folder / HUB_DATABASE)
    _check_session_database(folder / SESSION_DATABASE)


def _check_hub_database(path: Path) -> None:
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.OperationalError:  # locked, or not filled yet: the hub sees to it
        return
    except sqlite3.DatabaseError as error:
        raise StoreCorrupt(
            f"{str(path)!r} is damaged ({error}); move it away and start again: users and tokens "
            "are made anew, work and history lie elsewhere."
        ) from None
    known = _known_revisions()
    if rows and known and not known.issuperset(revision for (revision,) in rows):
        raise StoreTooNew(
            f"{str(path)!r} was written by a newer JupyterHub; install that one, or choose "
            "another state folder with --state."
        )


def _known_revisions() -> set[str]:
    """Return the schema versions of the installed JupyterHub, without importing it."""
    spec = find_spec("jupyterhub")
    places = list(spec.submodule_search_locations or ()) if spec else []
    folders = [Path(place) / "alembic" / "versions" for place in places]
    return {file.name.partition("_")[0] for folder in folders for file in folder.glob("*_*.py")}


def _check_session_database(path: Path) -> None:
    if path.exists():
        from blackroad_nb.adapters.sqlite.servers import SqliteServerLog

        with closing(SqliteServerLog(path, read_only=True)) as log:
            log.list(limit=1)
