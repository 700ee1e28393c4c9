"""`up`: a JupyterHub on this machine in one step, for its owner alone."""

from __future__ import annotations

import argparse
import getpass
import html
import os
import re
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from blackroad_nb.adapters.process_files import claimed, holder
from blackroad_nb.cli.arguments import add_examples, whole_number
from blackroad_nb.cli.hub_process import (
    START_SECONDS,
    Hub,
    Stopping,
    answers,
    counted,
    end_all,
    listed,
    session_count,
)
from blackroad_nb.cli.printing import write
from blackroad_nb.cli.signals import Interrupted
from blackroad_nb.config import database_path
from blackroad_nb.core.container import slug
from blackroad_nb.errors import Conflict, ExportUnavailable, HubUnreachable, InvalidInput
from blackroad_nb.hub.up_databases import check_databases
from blackroad_nb.hub.up_ports import hub_port, inner_port, is_free, public_port
from blackroad_nb.hub.up_state import (
    DEFAULT,
    LOOPBACK,
    Ground,
    Settings,
    StateFolder,
    new_secret,
    open_state,
    write_private,
)

_MOST_SHORT_LIVES, _SHORT_SECONDS = 5, 5.0
_LOOK_SECONDS = 0.1
_PORT_TRIES = 5
_CONFIG = """\
# Written by `blackroad-nb up` at each start. Settings of your own go into hub_config.py
# beside this file; it is read after this one.
import os
from blackroad_nb.hub.up_config import configure_up

folder = os.path.dirname(os.path.abspath(__file__))
configure_up(get_config(), folder)
if os.path.exists(os.path.join(folder, "hub_config.py")):
    load_subconfig(os.path.join(folder, "hub_config.py"))
"""


def add_up(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Open a JupyterHub for you alone: it listens on 127.0.0.1, and a link that is printed\n"
        "logs you in. Sessions are processes of this machine, which isolates nothing, or with\n"
        "--docker containers. A second `up` prints the link again; `down` stops everything."
    )
    add_examples(parser, "%(prog)s", "%(prog)s --folder ~/research --port 9000 --no-browser")
    add_state(parser)
    parser.add_argument("--folder", help="where your work lies (default: in the state folder)")
    parser.add_argument("--docker", action="store_true", help="sessions in containers")
    parser.add_argument("--image", help="of the containers (default: NOTEBOOK_IMAGE, or our own)")
    parser.add_argument("--build", action="store_true", help="build the image anew")
    parser.add_argument("--base-image", help="what the image is built on: one with Python 3.11+")
    parser.add_argument(
        "--port", type=whole_number(1, 65535), help="default: 8000, or the next free one"
    )
    parser.add_argument("--new-link", action="store_true", help="void the link and print another")
    parser.add_argument("--no-browser", action="store_true", help="only print the link")
    parser.set_defaults(run=up)


def add_state(parser: argparse.ArgumentParser) -> None:
    """Take the folder that holds everything of one hub."""
    parser.add_argument("--state", default=DEFAULT, help=f"the hub's folder (default: {DEFAULT})")


def up(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C, or point to the hub that is there."""
    _require_packages(arguments.docker)
    state = open_state(arguments.state)
    with claimed(state.up_claim) as mine:
        if not mine:
            return _point_to(state, arguments)
        stopping = Stopping()
        with stopping.listening():
            return _run(state, arguments, stopping)


def _run(state: StateFolder, arguments: argparse.Namespace, stopping: Stopping) -> int:
    for tries_left in reversed(range(_PORT_TRIES)):
        try:
            settings = _prepare(state, arguments)
        except Interrupted:  # nothing has been started; sessions from before are left alone
            write("\nStopped.\n")
            return 0
        try:
            _serve(Hub(state, settings), state, settings, arguments, stopping)
        except Interrupted:
            stopped = end_all(state)
            write(f"\nStopped {listed(stopped)}.\n" if stopped else "\nStopped.\n")
        except BaseException as error:
            if not session_count(state):  # else people go on working, through the proxy
                end_all(state)
            if tries_left and isinstance(error, HubUnreachable) and _lost_port(state, settings):
                _say(f"Port {settings.port} has just been taken by another program.")
                continue
            raise
        return 0
    raise AssertionError("the last try returns or raises")


def _lost_port(state: StateFolder, settings: Settings) -> bool:
    """Tell whether somebody was quicker to listen at the port that had been chosen."""
    return holder(state.proxy_claim) is None and not is_free(settings.port)


def _serve(
    hub: Hub,
    state: StateFolder,
    settings: Settings,
    arguments: argparse.Namespace,
    stopping: Stopping,
) -> None:
    """Keep a hub running, whatever kills it, until a signal ends this."""
    announced, short_lives = False, 0
    while True:
        if not hub.alive:
            hub.start(stopping)
        began = time.monotonic()
        if _came_up(hub):
            if not announced:
                _announce(state, settings, arguments)
            announced = True
            hub.wait_end()
        if hub.was_shut_down:
            end_all(state)
            _say("\nThe hub was shut down on its admin page.")
            return
        short_lives = short_lives + 1 if time.monotonic() - began < _SHORT_SECONDS else 0
        if short_lives >= _MOST_SHORT_LIVES:
            raise HubUnreachable(f"the hub ends again and again; see {str(state.log)!r}.")
        _say("The hub was killed, or failed; starting it again. Sessions go on.")


def _came_up(hub: Hub) -> bool:
    """Wait for the hub; False when it was killed meanwhile. Raises HubUnreachable."""
    try:
        hub.wait_ready()
    except HubUnreachable:
        if hub.was_killed:
            return False
        raise
    return True


def _prepare(state: StateFolder, arguments: argparse.Namespace) -> Settings:
    """Write down what the hub is to be made of, unless it is running already."""
    kept = state.settings()
    if kept is not None and holder(state.hub_claim) is not None:
        _check_same(kept, arguments)
        _say("The hub is running already; this takes care of it from now on.")
        return kept
    check_databases(state.path)
    _say("Starting JupyterHub (Ctrl-C stops it) ...")
    _check_kind(state, kept, arguments.docker)
    settings = _settings(state, arguments, kept)
    if not state.profiles.exists():
        from blackroad_nb.hub.profiles import DEFAULT_FILE

        write_private(state.profiles, DEFAULT_FILE)
    write_private(state.config, _CONFIG)
    state.keep(settings)
    return settings


def _settings(state: StateFolder, arguments: argparse.Namespace, kept: Settings | None) -> Settings:
    ground = _ground(arguments)
    sessions = session_count(state)
    proxied = holder(state.proxy_claim) is not None
    inner = kept.proxy_port if kept and (proxied or is_free(kept.proxy_port)) else inner_port()
    return Settings(
        owner=owner_name(getpass.getuser()),
        port=public_port(arguments.port, kept.port if kept else None, proxied),
        hub_port=hub_port(
            kept.hub_port if kept else None, sessions, lambda port: is_free(port, ground.gateway)
        ),
        proxy_port=inner,
        proxy_secret=kept.proxy_secret if kept else new_secret(),
        api_token=kept.api_token if kept else new_secret(),
        database=str(database_path(os.environ, arguments.db)),
        folder=_folder(arguments.folder, kept),
        docker=arguments.docker,
        image=ground.image,
        hub_ip=ground.gateway,
        hub_id=kept.hub_id if kept and kept.hub_id else f"up-{new_secret()[:12]}",
    )


def _ground(arguments: argparse.Namespace) -> Ground:
    if not arguments.docker:
        return Ground(image="", gateway=LOOPBACK)
    from blackroad_nb.cli.containers import prepare

    return prepare(arguments, _say)


def _check_kind(state: StateFolder, kept: Settings | None, docker: bool) -> None:
    """Refuse to go on with sessions of the other kind. Raises Conflict."""
    if kept is not None and kept.docker != docker and (count := session_count(state)):
        kind = "containers" if kept.docker else "processes of this machine"
        raise Conflict(
            f"{' '.join(counted(count))} of this hub {'is' if count == 1 else 'are'} still running "
            f"as {kind}; `blackroad-nb down` stops them."
        )


def owner_name(account: str) -> str:
    """Return the user of the hub for this user of the machine; pages and paths carry it."""
    return re.sub(r"[^a-z0-9._-]+", "-", account.lower()).strip("-._") or "owner"


def _folder(named: str | None, kept: Settings | None) -> str:
    if named is None:
        return kept.folder if kept else ""
    folder = Path(os.path.realpath(os.path.expanduser(named)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{str(folder)!r} cannot be made: {error.strerror}.") from None
    return str(folder)


def _point_to(state: StateFolder, arguments: argparse.Namespace) -> int:
    """Print the link of the hub that another `up` takes care of."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        settings = state.settings()
        if settings is not None and holder(state.hub_claim) is not None and answers(settings):
            break
        pid = holder(state.up_claim)
        if pid is None:
            return up(arguments)
        if time.monotonic() > deadline:
            raise Conflict(
                f"the state folder {str(state.path)!r} is in use by process {pid}, whose hub "
                "does not answer; `blackroad-nb down` ends it."
            )
        time.sleep(_LOOK_SECONDS)
    _check_same(settings, arguments)
    write("JupyterHub is open already.\n")
    _announce(state, settings, arguments)
    return 0


def _check_same(settings: Settings, arguments: argparse.Namespace) -> None:
    """Refuse what a running hub is not. Raises Conflict."""
    differs = {
        f"on port {settings.port}": arguments.port not in (None, settings.port),
        "with local sessions": arguments.docker and not settings.docker,
        f"with the image {settings.image}": arguments.image not in (None, settings.image),
        f"with the folder {settings.folder or 'in its state'}": arguments.folder is not None
        and os.path.realpath(os.path.expanduser(arguments.folder)) != settings.folder,
    }
    for what, is_so in differs.items():
        if is_so:
            raise Conflict(f"the hub is running already {what}; `blackroad-nb down` stops it.")


def _announce(state: StateFolder, settings: Settings, arguments: argparse.Namespace) -> None:
    link = state.link(settings, new=arguments.new_link)
    _say(f"\nJupyterHub is ready. This link logs you in; keep it to yourself:\n\n  {link}\n")
    if not settings.docker:
        _say("Sessions are processes of this machine: nothing keeps them from your files.")
    work = state.path / "workspaces" / slug(settings.owner)
    _say(f"Your work lies in {settings.folder or work}")
    if not arguments.no_browser and _has_screen():
        _open_browser(state, link)


def _open_browser(state: StateFolder, link: str) -> None:
    """Open the link by way of a private file: other users see the words of a command."""
    import threading
    import webbrowser

    address = html.escape(link, quote=True)
    write_private(state.page, f'<meta http-equiv="refresh" content="0; url={address}">')
    threading.Thread(target=webbrowser.open, args=(state.page.as_uri(),), daemon=True).start()


def _has_screen() -> bool:
    """Tell whether a browser could show; a text browser would take the terminal away."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _require_packages(docker: bool) -> None:
    if os.name == "nt":
        raise ExportUnavailable("JupyterHub does not run on Windows; use `jupyter lab` there.")
    needed = ["jupyterhub", "jupyterhub_traefik_proxy", "yaml"]
    needed.append("dockerspawner" if docker else "jupyterlab")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise ExportUnavailable(
            f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} not installed; "
            "pip install 'blackroad-nb[lab,hub]'."
        )


def _say(text: str) -> None:
    write(text + "\n")
    sys.stdout.flush()
