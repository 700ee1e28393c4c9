"""`history` and `search`: what ran, as JSON, CSV, or as a notebook again."""

from __future__ import annotations

import argparse

from blackroad_nb.cli.arguments import add_examples, add_notebook, moment, whole_number
from blackroad_nb.cli.printing import print_json, print_json_lines, write_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from blackroad_nb.core.execution import Execution
    from blackroad_nb.core.history import HistoryQuery
    from blackroad_nb.local import LocalParts

FORMATS = ("json", "jsonl", "csv", "ipynb", "script")
STATUSES = ("pending", "success", "error", "timeout", "aborted", "killed")


def add_history(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print the executions of a notebook, newest first. The `seq` of the last row is\n"
        "the --cursor of the next page. json prints one page; the other formats print all\n"
        "that matches unless --limit is given; ipynb and script put it together again,\n"
        "oldest first. With --delete --older-than, rows are deleted instead: of those that\n"
        "started before, the ones that --user, --status, --since and --until choose."
    )
    add_examples(
        parser,
        "%(prog)s work/alpha.ipynb --limit 10",
        "%(prog)s work/alpha.ipynb --status error --since 7d",
        "%(prog)s work/alpha.ipynb --format ipynb > what-ran.ipynb",
        "%(prog)s --all --format csv > everything.csv",
        "%(prog)s work/alpha.ipynb --delete --older-than 90d",
        "%(prog)s --all --delete --older-than 30d --status error",
    )
    add_notebook(parser, optional=True)
    parser.add_argument("--all", action="store_true", help="all notebooks instead of one")
    parser.add_argument("--delete", action="store_true", help="delete rows, see --older-than")
    parser.add_argument(
        "--older-than", metavar="TIME", type=moment, help="with --delete: what started before"
    )
    _add_filters(parser)
    parser.set_defaults(run=history, text=None)


def add_search(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Find executions whose source or error holds all the words, newest first. A word\n"
        "of three or more letters may be any part of a word; with * at its end it begins\n"
        'one; words in "quotes" are whole and must stand together.'
    )
    add_examples(
        parser,
        "%(prog)s read_csv",
        "%(prog)s 'KeyError' --since 30d --user ada",
        "%(prog)s '\"rolling window\"' 'std*'",
    )
    parser.add_argument("text", metavar="TEXT", nargs="+", help="the words to find")
    parser.add_argument("--notebook", metavar="ID", help="only this notebook (id or path)")
    _add_filters(parser)
    parser.set_defaults(run=search)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--limit", metavar="N", type=whole_number(1, 1000), help="at most N rows (default: 50)"
    )
    parser.add_argument("--user", help="only what this user ran")
    parser.add_argument("--status", choices=STATUSES, help="only rows of this status")
    parser.add_argument(
        "--since", metavar="TIME", type=moment, help="from then on: 2026-01-31, or 7d ago"
    )
    parser.add_argument("--until", metavar="TIME", type=moment, help="before then")
    parser.add_argument(
        "--cursor", metavar="SEQ", type=whole_number(), help="go on after the row of this seq"
    )
    parser.add_argument(
        "--no-outputs", action="store_true", help="leave outputs out, which can be large"
    )
    parser.add_argument("--format", choices=FORMATS, help="default: json")


def history(arguments: argparse.Namespace) -> int:
    """Print or delete the history of one notebook, or of all."""
    from blackroad_nb.errors import InvalidInput

    if (arguments.notebook is None) != arguments.all:
        raise InvalidInput("name one notebook by its id or path, or give --all.")
    if arguments.delete != (arguments.older_than is not None):
        raise InvalidInput("--delete and --older-than TIME go together.")
    if arguments.delete:
        return _delete(arguments)
    return _show(arguments, arguments.notebook)


def search(arguments: argparse.Namespace) -> int:
    """Print what matches the words."""
    arguments.text = " ".join(arguments.text)
    return _show(arguments, arguments.notebook)


def _delete(arguments: argparse.Namespace) -> int:
    from blackroad_nb.cli.parts import notebook_id, run_with_parts
    from blackroad_nb.errors import InvalidInput

    for name in ("limit", "cursor", "format", "no-outputs"):
        if vars(arguments)[name.replace("-", "_")]:
            raise InvalidInput(
                f"--delete cannot be limited by --{name}; leave it out, or choose rows with"
                " --user, --status, --since and --until."
            )

    async def work(parts: LocalParts) -> int:
        chosen = None if arguments.all else await notebook_id(parts, arguments.notebook)
        if chosen is not None:
            await parts.notebooks.get(chosen)
        return await parts.history.delete(arguments.older_than, _query(arguments, chosen))

    print_json({"deleted": run_with_parts(arguments, work)})
    return 0


def _show(arguments: argparse.Namespace, named: str | None) -> int:
    if arguments.format in (None, "json"):
        return _show_page(arguments, named)
    from blackroad_nb.cli.parts import run_with_parts

    async def work(parts: LocalParts) -> None:
        from blackroad_nb.cli.parts import notebook_id

        chosen = None if named is None else await notebook_id(parts, named)
        if chosen is not None:
            await parts.notebooks.get(chosen)
        await _write_all(arguments, parts, _query(arguments, chosen))

    run_with_parts(arguments, work, reading=True)
    return 0


def _show_page(arguments: argparse.Namespace, named: str | None) -> int:
    from blackroad_nb.cli.parts import id_in, reader
    from blackroad_nb.core.rendering import execution_record

    with reader(arguments.db) as store:
        chosen = None if named is None else id_in(store, named)
        page = store.history(_query(arguments, chosen))
    print_json([execution_record(execution) for execution in page.items])
    return 0


def _query(arguments: argparse.Namespace, notebook_id: str | None) -> HistoryQuery:
    from blackroad_nb.core.execution import Status
    from blackroad_nb.core.history import DEFAULT_LIMIT, HistoryQuery

    return HistoryQuery(
        notebook_id=notebook_id,
        user=arguments.user,
        status=Status(arguments.status) if arguments.status else None,
        since=arguments.since,
        until=arguments.until,
        text=arguments.text,
        cursor=arguments.cursor,
        limit=arguments.limit or DEFAULT_LIMIT,
        outputs=not arguments.no_outputs,
    )


async def _write_all(arguments: argparse.Namespace, parts: LocalParts, query: HistoryQuery) -> None:
    if arguments.format == "ipynb":
        async for piece in parts.history.as_notebook(query, arguments.limit):
            write_bytes(piece.encode())
    elif arguments.format == "script":
        write_bytes((await parts.history.as_script(query, arguments.limit)).encode())
    elif arguments.format == "csv":
        await _write_csv(_limited(parts.history.stream(query), arguments.limit))
    else:
        from blackroad_nb.core.rendering import execution_record

        async for execution in _limited(parts.history.stream(query), arguments.limit):
            print_json_lines([execution_record(execution)])


async def _write_csv(executions: AsyncIterator[Execution]) -> None:
    from blackroad_nb.core.rendering import csv_header, csv_row

    write_bytes(_csv_line(csv_header()))
    async for execution in executions:
        write_bytes(_csv_line(csv_row(execution)))


def _csv_line(cells: list[str]) -> bytes:
    import csv
    import io

    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode("utf-8", "backslashreplace")


async def _limited(
    executions: AsyncIterator[Execution], limit: int | None
) -> AsyncIterator[Execution]:
    count = 0
    async for execution in executions:
        yield execution
        count += 1
        if count == limit:
            return
