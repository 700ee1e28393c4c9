"""Where things are and how much is allowed, read once from the environment."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DATABASE_VARIABLE = "NOTEBOOK_DB"
DEFAULT_DATABASE = "~/.blackroad/notebooks.db"
ROOTS_VARIABLE = "NOTEBOOK_ROOTS"
TEMPLATES_VARIABLE = "BLACKROAD_TEMPLATES"
MOUNTED_TEMPLATES = "/templates"  # where a hub mounts the operator's into a container


def database_file(environ: Mapping[str, str], override: str | None = None) -> str:
    """Return the database file: `override`, else `NOTEBOOK_DB`, else the default.

    Text, because the shortest command cannot afford to import pathlib.

    Raises:
        InvalidInput: it names no file.
    """
    chosen = override or environ.get(DATABASE_VARIABLE) or DEFAULT_DATABASE
    if chosen.startswith((":memory:", "file:")):
        from blackroad_nb.errors import InvalidInput

        raise InvalidInput(
            f"The database {chosen!r} is no file, and it must be one: several processes share"
            f" it. Give a path with --db or {DATABASE_VARIABLE}."
        )
    return os.path.abspath(os.path.expanduser(chosen))


def check_database_folder(environ: Mapping[str, str], override: str | None = None) -> None:
    """Refuse to read a database in a folder that is not there: a typing mistake, surely.

    The default folder is made when first written to.

    Raises:
        StoreError: there is no such folder.
    """
    file = database_file(environ, override)
    folder = os.path.dirname(file)
    if not os.path.isdir(folder) and file != database_file({}):
        from blackroad_nb.errors import StoreError

        raise StoreError(
            f"There is no database {file!r}: its folder does not exist. Choose another file with"
            f" --db or {DATABASE_VARIABLE}."
        )


def database_path(environ: Mapping[str, str], override: str | None = None) -> Path:
    """Return `database_file` as a path."""
    from pathlib import Path

    return Path(database_file(environ, override))


def notebook_roots(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the folders notebooks may lie in, from `NOTEBOOK_ROOTS` (like PATH).

    Without the variable the whole file system is allowed: at her own shell a user
    can read and write those files anyway. A server sets its own root instead.
    """
    from pathlib import Path

    listed = [part for part in environ.get(ROOTS_VARIABLE, "").split(os.pathsep) if part]
    return tuple(Path(part).expanduser() for part in listed) or (Path("/"),)


def operator_templates(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the operator's folders of templates, from `BLACKROAD_TEMPLATES` (like PATH).

    Under a hub the folder that containers get is looked at without being named.
    """
    listed = tuple(p for p in environ.get(TEMPLATES_VARIABLE, "").split(os.pathsep) if p)
    under_a_hub = "JUPYTERHUB_SERVICE_PREFIX" in environ
    return listed or ((MOUNTED_TEMPLATES,) if under_a_hub else ())
