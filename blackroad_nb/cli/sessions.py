"""Sessions of a hub: `sessions list`, `start`, `stop` and `status`."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from blackroad_nb.adapters.session_client import SessionClient
from blackroad_nb.cli.arguments import add_examples, seconds, whole_number
from blackroad_nb.cli.hub_address import choose_hub
from blackroad_nb.cli.printing import print_json
from blackroad_nb.errors import BlackRoadError, HubUnreachable, SessionFailed

_LOOK_SECONDS = 0.25
_PATIENCE_SECONDS = 30.0  # with a hub that restarts while a session starts
_WAIT = 600.0
_MOST = 500


def add_sessions_list(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print sessions as a JSON list, newest first: your own, or everybody's if you may\n"
        "manage them."
    )
    add_examples(parser, "%(prog)s", "%(prog)s --ended --limit 5", "%(prog)s --user ada")
    _add_hub(parser, "whose (default: all that you may see)")
    parser.add_argument("--ended", action="store_true", help="also those that have ended")
    parser.add_argument(
        "--limit", metavar="N", type=whole_number(1, _MOST), default=50,
        help="at most N (default: 50)",
    )  # fmt: skip
    parser.set_defaults(run=list_sessions)


def list_sessions(arguments: argparse.Namespace) -> int:
    client = choose_hub(arguments)
    print_json(client.list(arguments.user, arguments.ended, arguments.limit))
    return 0


def add_sessions_status(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print one session as JSON: its state, and if it ended, why."
    add_examples(parser, "%(prog)s", "%(prog)s --user ada --name second")
    _add_hub(parser)
    _add_name(parser)
    parser.set_defaults(run=show_session)


def show_session(arguments: argparse.Namespace) -> int:
    client = choose_hub(arguments)
    print_json(client.get(_user(client, arguments), arguments.name))
    return 0


def add_sessions_start(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Start a session, wait until it runs, and print it as JSON. What is being done is\n"
        "shown on a terminal."
    )
    add_examples(
        parser,
        "%(prog)s",
        "%(prog)s --profile large --template alpha-research",
        "%(prog)s --user ada --no-wait",
    )
    _add_hub(parser)
    _add_name(parser)
    parser.add_argument("--profile", metavar="P", help="default: the hub's first")
    parser.add_argument("--template", metavar="T", help="copy this notebook and open it")
    parser.add_argument(
        "--original", action="store_true", help="a fresh copy beside the one that is there"
    )
    _add_wait(parser, "print it while it starts")
    parser.set_defaults(run=start_session)


def start_session(arguments: argparse.Namespace) -> int:
    """Start, wait, print. Raises SessionFailed when it does not come up."""
    client = choose_hub(arguments)
    user = _user(client, arguments)
    request = {
        "user": user,
        "server_name": arguments.name,
        "profile": arguments.profile,
        "template": arguments.template,
        "original": arguments.original,
    }
    if arguments.no_wait:
        print_json(client.start(request))
        return 0
    begun = _start_with_progress(client, request)
    session = _settled(client, begun, "starting", arguments.timeout)
    if session["state"] != "running":
        said = session.get("message") or f"The session is {session['state']}, not running."
        raise SessionFailed(str(said), str(session.get("reason") or "failed"))
    print_json(session)
    return 0


def add_sessions_stop(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Stop a session, wait until it has ended, and print it as JSON. Files are kept. One\n"
        "that has ended already is printed as it is."
    )
    add_examples(parser, "%(prog)s", "%(prog)s --user ada --name second")
    _add_hub(parser)
    _add_name(parser)
    _add_wait(parser, "print it while it stops")
    parser.set_defaults(run=stop_session)


def stop_session(arguments: argparse.Namespace) -> int:
    client = choose_hub(arguments)
    session = client.stop(_user(client, arguments), arguments.name)
    if not arguments.no_wait:
        session = _settled(client, session, "stopping", arguments.timeout)
    print_json(session)
    return 0


def _add_hub(parser: argparse.ArgumentParser, user: str = "whose (default: your own)") -> None:
    parser.add_argument("--user", metavar="U", help=user)
    parser.add_argument(
        "--hub", metavar="URL", help="the hub (else BLACKROAD_HUB_URL, else the one of `up`)"
    )
    parser.add_argument(
        "--state", metavar="FOLDER", help="where `up` keeps its hub (default: ~/.blackroad/hub)"
    )


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", metavar="N", default="", help="a named session of the user")


def _add_wait(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument("--no-wait", action="store_true", help=f"do not wait; {help}")
    parser.add_argument(
        "--timeout", metavar="S", type=seconds, default=_WAIT,
        help="wait so many seconds at most, 0 for no limit (default: 600)",
    )  # fmt: skip


def _user(client: SessionClient, arguments: argparse.Namespace) -> str:
    return arguments.user or client.owner()


def _start_with_progress(client: SessionClient, request: dict[str, Any]) -> dict[str, Any]:
    """Ask for the session; where somebody looks on, show what the hub does meanwhile."""
    from blackroad_nb.cli.terminal import is_terminal

    if not is_terminal(sys.stderr):
        return client.start(request)
    asking = _Asking(lambda: client.start(request))
    show = _Shown()
    while asking.is_alive():
        _follow(client, request["user"], request["server_name"], show)
        asking.join(_LOOK_SECONDS)
    begun = asking.result()
    if begun["state"] == "starting":
        _follow(client, request["user"], request["server_name"], show)
    return begun


def _follow(client: SessionClient, user: str, name: str, show: _Shown) -> None:
    try:
        for line in client.progress(user, name):
            if not line.get("failed") and not line.get("ready"):
                show(str(line.get("message", "")))
    except BlackRoadError:  # the question that was asked says what is wrong
        return


class _Asking(threading.Thread):
    """One question, asked while something else is shown."""

    def __init__(self, ask: Callable[[], dict[str, Any]]) -> None:
        super().__init__(daemon=True)  # Ctrl-C does not wait for an answer
        self._ask = ask
        self._answer: dict[str, Any] = {}
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._answer = self._ask()
        except Exception as error:  # raised again where the result is wanted
            self._error = error

    def result(self) -> dict[str, Any]:
        self.join()
        if self._error is not None:
            raise self._error
        return self._answer


class _Shown:
    """Shows each step once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, message: str) -> None:
        from blackroad_nb.cli.failures import one_line

        text = one_line(message)
        if text and text not in self._seen:
            self._seen.add(text)
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def _settled(
    client: SessionClient, session: dict[str, Any], while_: str, timeout: float
) -> dict[str, Any]:
    """Return the session once it is no longer in a state that passes.

    Raises:
        SessionFailed: it took longer than was allowed; what was asked for goes on.
    """
    begun = last_heard = time.monotonic()
    while session["state"] == while_:
        now = time.monotonic()
        if timeout and now - begun > timeout:
            raise SessionFailed(
                f"The session is still {while_} after {timeout:g} seconds; it goes on, see"
                " `sessions status`.",
                "too_slow",
            )
        time.sleep(_LOOK_SECONDS)
        try:
            session = client.get(str(session["user"]), str(session["server_name"]))
            last_heard = time.monotonic()
        except HubUnreachable:
            if time.monotonic() - last_heard > _PATIENCE_SECONDS:
                raise
    return session
