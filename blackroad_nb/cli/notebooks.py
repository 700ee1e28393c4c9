"""`create`, `list` and `delete`."""

from __future__ import annotations

import os

from blackroad_nb.cli.arguments import add_examples, add_notebook, whole_number
from blackroad_nb.cli.printing import print_json, print_json_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any


def add_create(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write an empty notebook (format 4.5) and register it. An existing file is never\n"
        "overwritten; --adopt registers it as it is, with the kernel that it names. Prints\n"
        "its id, name and path."
    )
    add_examples(
        parser,
        '%(prog)s "Alpha research" work/alpha.ipynb',
        "%(prog)s Old old.ipynb --adopt",
    )
    parser.add_argument("name", metavar="NAME", help="what to call it, on one line")
    parser.add_argument("path", metavar="PATH", help="where its file is, ending in .ipynb")
    parser.add_argument(
        "--kernel", metavar="K", help="its kernel (default: python3, or the file's own)"
    )
    parser.add_argument("--adopt", action="store_true", help="register the file that is there")
    parser.set_defaults(run=create)


def create(arguments: argparse.Namespace) -> int:
    """Register a notebook and print `id`, `name` and `path`."""
    from blackroad_nb.cli.parts import run_with_parts
    from blackroad_nb.local import LocalParts

    async def work(parts: LocalParts) -> dict[str, str]:
        made = await parts.notebooks.create(
            arguments.name, arguments.path, arguments.kernel, arguments.adopt
        )
        return {"id": made.id, "name": made.name, "path": made.path}

    print_json(run_with_parts(arguments, work))
    return 0


def add_list(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the registered notebooks as a JSON list, newest update first."
    add_examples(parser, "%(prog)s", "%(prog)s --limit 5")
    parser.add_argument(
        "--limit", metavar="N", type=whole_number(1), help="at most so many (default: all)"
    )
    parser.set_defaults(run=list_notebooks)


def list_notebooks(arguments: argparse.Namespace) -> int:
    return print_registry(arguments.db, arguments.limit)


def print_registry(db: str | None, limit: int | None) -> int:
    """Print the registry, without importing more than sqlite3 if it can be helped."""
    from blackroad_nb.adapters.sqlite.glance import notebook_records
    from blackroad_nb.config import database_file

    records = notebook_records(database_file(os.environ, db), limit)
    if records is None:
        print_json(_read_carefully(db, limit))
    else:
        print_json_list(records)
    return 0


def _read_carefully(db: str | None, limit: int | None) -> list[dict[str, Any]]:
    from blackroad_nb.cli.parts import reader
    from blackroad_nb.core.rendering import notebook_record

    with reader(db) as store:
        return [notebook_record(row) for row in store.list_notebooks(limit).items]


def add_delete(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Forget a notebook: its row and its whole history go. The file stays unless --file\n"
        "is given. There is no way back."
    )
    add_examples(parser, "%(prog)s work/alpha.ipynb", "%(prog)s work/alpha.ipynb --file")
    add_notebook(parser)
    parser.add_argument("--file", action="store_true", help="delete the notebook's file too")
    parser.set_defaults(run=delete)


def delete(arguments: argparse.Namespace) -> int:
    """Delete a notebook and print what went."""
    from blackroad_nb.cli.parts import notebook_id, run_with_parts
    from blackroad_nb.local import LocalParts

    async def work(parts: LocalParts) -> dict[str, object]:
        chosen = await notebook_id(parts, arguments.notebook)
        gone, file_deleted = await parts.notebooks.delete(chosen, arguments.file)
        return {"id": gone.id, "path": gone.path, "file_deleted": file_deleted}

    print_json(run_with_parts(arguments, work))
    return 0
