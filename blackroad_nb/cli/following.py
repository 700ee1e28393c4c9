"""Runs on a notebook server: `execute --server` and `executions`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from typing import Any

from blackroad_nb.cli.arguments import add_examples, add_notebook, add_server, whole_number
from blackroad_nb.cli.printing import print_json, write
from blackroad_nb.cli.signals import INTERRUPT, TERMINATE, Interrupted, raising

_SERVER_HELP = "the notebook server; without URL, the one that is running"
_DEFAULT_LIMIT = 50
_MOST = 1000


def add_executions_list(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print runs as a JSON list, newest first, from the database or a server. The `seq`\n"
        "of the last one is the --cursor of the next page."
    )
    add_examples(parser, "%(prog)s", "%(prog)s work/alpha.ipynb --limit 5", "%(prog)s --server")
    add_notebook(parser, optional=True)
    parser.add_argument(
        "--limit", metavar="N", type=whole_number(1, _MOST), default=_DEFAULT_LIMIT,
        help="at most N runs (default: 50)",
    )  # fmt: skip
    parser.add_argument(
        "--cursor", metavar="SEQ", type=whole_number(), help="go on after the run of this seq"
    )
    add_server(parser, _SERVER_HELP)
    parser.set_defaults(run=list_runs)


def list_runs(arguments: argparse.Namespace) -> int:
    """Print runs without their outputs."""
    if arguments.server is not None:
        return _list_there(arguments)
    from blackroad_nb.cli.parts import notebook_id, run_with_parts
    from blackroad_nb.local import LocalParts

    async def work(parts: LocalParts) -> list[dict[str, Any]]:
        from blackroad_nb.core.rendering import run_record

        named = arguments.notebook
        chosen = None if named is None else await notebook_id(parts, named)
        if chosen is not None:
            await parts.notebooks.get(chosen)
        page = await parts.store.list_runs(chosen, arguments.limit, arguments.cursor)
        return [run_record(run, outputs=False) for run in page.items]

    print_json(run_with_parts(arguments, work, reading=True))
    return 0


def _list_there(arguments: argparse.Namespace) -> int:
    from blackroad_nb.cli.parts import is_path
    from blackroad_nb.cli.servers import choose_client

    named = arguments.notebook
    if named is not None and is_path(named):
        path = os.path.realpath(os.path.expanduser(named))
        client, chosen = choose_client(arguments, path), {"path": path}
    else:
        client, chosen = choose_client(arguments), {"notebook_id": named}
    print_json(client.list_runs(arguments.limit, arguments.cursor, **chosen)["items"])
    return 0


def add_executions_watch(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Follow a run on a notebook server from its first cell on until it ends. Ctrl-C\n"
        "stops watching; the run goes on. The exit code is that of the run."
    )
    add_examples(parser, "%(prog)s RUN_ID", "%(prog)s RUN_ID --server http://127.0.0.1:8888/")
    parser.add_argument("run_id", metavar="RUN_ID", help="as `execute --detach` printed it")
    add_server(parser, _SERVER_HELP)
    parser.add_argument("--json", action="store_true", help="print the finished run as JSON")
    parser.set_defaults(run=watch)


def watch(arguments: argparse.Namespace) -> int:
    from blackroad_nb.cli.servers import client_of_run

    client = client_of_run(arguments)
    return _follow(client, arguments.run_id, arguments.json, cancels=False)


def add_executions_cancel(parser: argparse.ArgumentParser) -> None:
    parser.description = "Cancel a run on a notebook server; what it has done is kept."
    add_examples(parser, "%(prog)s RUN_ID")
    parser.add_argument("run_id", metavar="RUN_ID", help="as `executions list` shows it")
    add_server(parser, _SERVER_HELP)
    parser.set_defaults(run=cancel)


def cancel(arguments: argparse.Namespace) -> int:
    from blackroad_nb.cli.servers import client_of_run

    run = client_of_run(arguments).cancel_run(arguments.run_id)
    print_json(run)
    if run["status"] != "cancelled":
        print(f"Note: the run had ended before, as {run['status']}.", file=sys.stderr)
    return 0


def execute_there(arguments: argparse.Namespace, wanted: Mapping[str, Any]) -> int:
    """Hand the run to a server and follow it, unless it is to be left alone."""
    from blackroad_nb.cli.parts import is_path
    from blackroad_nb.cli.servers import choose_client
    from blackroad_nb.core.parameters import as_json

    named = arguments.notebook
    if is_path(named):
        path = os.path.abspath(os.path.expanduser(named))
        client, subject = choose_client(arguments, path), {"path": path}
    else:
        client, subject = choose_client(arguments), {"notebook_id": named}
    parameters = as_json(wanted.get("parameters", {}))
    run = client.start_run({**subject, **wanted, "parameters": parameters})
    if not arguments.detach:
        return _follow(client, run["id"], arguments.json, cancels=True)
    if arguments.json:
        print_json(run)
    else:
        write(f"Started run {run['id']}; `executions watch {run['id']}` follows it.\n")
    return 0


def _follow(client: Any, run_id: str, as_json: bool, cancels: bool) -> int:
    from blackroad_nb.cli.outcome import tell
    from blackroad_nb.cli.progress import ProgressBar, RunReport
    from blackroad_nb.errors import ServerUnreachable

    received = None
    with ProgressBar() as bar, raising((INTERRUPT, TERMINATE)):
        report = RunReport(bar, silent=as_json, only_watches=not cancels)
        last = 0
        while True:
            try:
                for event in client.watch_run(run_id, last, report.note_break):
                    report.take(event.kind, event.data)
                    last = event.number
                break
            except Interrupted as interruption:
                if received is not None or not cancels:
                    raise
                received = interruption.number
                client.cancel_run(run_id)
            except ServerUnreachable as error:
                report.end_open_cell()
                raise ServerUnreachable(
                    f"{error.message} How run {run_id} ended is not known;"
                    " `blackroad-nb executions list` on its machine shows it."
                ) from None
        run = client.get_run(run_id, outputs=as_json)
        report.end_open_cell(run)
    return tell(run, as_json, received, report.fault)
