"""`export`: a notebook as html, script, ipynb and whatever else works here."""

from __future__ import annotations

import argparse

from blackroad_nb.cli.arguments import add_examples, add_notebook
from blackroad_nb.cli.printing import print_json, write, write_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from blackroad_nb.local import LocalParts
    from blackroad_nb.ports import Exported


def add_export(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write a notebook in another format, beside it unless --output says where. A path need\n"
        "not be registered. HTML is cleaned of scripts unless --trusted is given: do that only\n"
        "for your own notebooks."
    )
    add_examples(
        parser,
        "%(prog)s work/alpha.ipynb --format html",
        "%(prog)s work/alpha.ipynb --format script --output alpha.py",
        "%(prog)s work/alpha.ipynb --format markdown --stdout | less",
        "%(prog)s --list-formats",
    )
    add_notebook(parser, optional=True)
    parser.add_argument("--format", metavar="F", default="ipynb", help="default: ipynb")
    parser.add_argument("--output", metavar="PATH", help="the file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it is there")
    parser.add_argument("--trusted", action="store_true", help="keep scripts in the html")
    parser.add_argument("--stdout", action="store_true", help="print the result, write no file")
    parser.add_argument("--json", action="store_true", help="say in JSON what was written")
    parser.add_argument(
        "--list-formats", action="store_true", help="print all formats; unavailable ones say why"
    )
    parser.set_defaults(run=export)


def export(arguments: argparse.Namespace) -> int:
    """Write or print one export, or print the formats."""
    from blackroad_nb.errors import InvalidInput

    if arguments.list_formats:
        return _list_formats(arguments)
    if arguments.notebook is None:
        raise InvalidInput("name the notebook by its id or path; see `export --help`.")
    if arguments.stdout and (arguments.output or arguments.json):
        raise InvalidInput("--stdout goes neither with --output nor with --json.")
    return _print_export(arguments) if arguments.stdout else _write_export(arguments)


def _list_formats(arguments: argparse.Namespace) -> int:
    from blackroad_nb.cli.parts import run_with_parts

    async def work(parts: LocalParts) -> list[dict[str, Any]]:
        return [
            {
                "name": known.name,
                "extension": known.extension,
                "mime_type": known.mime_type,
                "available": known.available,
                "reason": known.reason,
            }
            for known in await parts.exports.formats()
        ]

    print_json(run_with_parts(arguments, work, reading=True))
    return 0


def _write_export(arguments: argparse.Namespace) -> int:
    from blackroad_nb.cli.parts import run_with_parts

    async def work(parts: LocalParts) -> dict[str, Any]:
        chosen = _named(arguments.notebook)
        written = await parts.exports.export_file(
            chosen, arguments.format, arguments.output, arguments.overwrite, arguments.trusted
        )
        return {
            "id": await _id_of(parts, chosen),
            "format": arguments.format,
            "path": str(written),
            "bytes": written.stat().st_size,
        }

    done = run_with_parts(arguments, work, reading=True)
    if arguments.json:
        print_json(done)
    else:
        from blackroad_nb.cli.terminal import mark, safe_text

        path = safe_text(done["path"], colours=False)
        write(f"{mark('success')} Exported to {path} [{done['format']}] ({done['bytes']} bytes)\n")
    return 0


def _print_export(arguments: argparse.Namespace) -> int:
    from blackroad_nb.cli.parts import run_with_parts
    from blackroad_nb.errors import InvalidInput

    async def work(parts: LocalParts) -> Exported:
        chosen = _named(arguments.notebook)
        return await parts.exports.export(chosen, arguments.format, arguments.trusted)

    exported = run_with_parts(arguments, work, reading=True)
    if exported.resources:
        raise InvalidInput(
            f"this {arguments.format} needs {len(exported.resources)} files beside it; "
            "write it with --output instead of --stdout."
        )
    write_bytes(exported.body)
    return 0


def _named(notebook: str) -> str | Path:
    """Return the id as it is, a path as one; its file need not be registered."""
    from pathlib import Path

    from blackroad_nb.cli.parts import is_path

    return Path(notebook) if is_path(notebook) else notebook


async def _id_of(parts: LocalParts, chosen: str | Path) -> str | None:
    if isinstance(chosen, str):
        return chosen
    found = await parts.notebooks.find(parts.files.resolve(chosen))
    return None if found is None else found.id
