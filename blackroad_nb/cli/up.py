"""`up`: JupyterLab on this machine, on loopback, with a notebook to begin with."""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from blackroad_nb.adapters.lean_imports import skip_unused_imports
from blackroad_nb.adapters.running_servers import RunningServer, running_servers
from blackroad_nb.adapters.server_client import ServerAddress, ServerClient
from blackroad_nb.cli.arguments import add_examples, whole_number
from blackroad_nb.cli.printing import write
from blackroad_nb.errors import BlackRoadError, ExportUnavailable, InvalidInput

LOOPBACK = "127.0.0.1"
FIRST_PORT = 8888
PORTS_TRIED = 100
DEMO = "welcome"


def add_up(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Open JupyterLab with the extension on, for this user on this machine only: it\n"
        "listens on 127.0.0.1 and asks for a token. A folder without notebooks gets one to\n"
        "begin with. When a server is open on the folder already, its link is printed."
    )
    add_examples(parser, "%(prog)s", "%(prog)s --folder ~/research --port 9000 --no-browser")
    parser.add_argument("--folder", default="workspace", help="default: ./workspace (created)")
    parser.add_argument(
        "--port", type=whole_number(1, 65535), help="default: 8888, or the next free one"
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the link")
    parser.set_defaults(run=up)


def up(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C, or point to the server that is there."""
    folder = _make_folder(arguments.folder)
    existing = _existing(folder)
    if existing is not None:
        write(f"JupyterLab is open on {folder} already:\n\n  {_link(existing, folder)}\n\n")
        return 0
    if find_spec("jupyterlab") is None:
        raise ExportUnavailable("JupyterLab is not installed; pip install 'blackroad-nb[lab]'.")
    port = _free_port(arguments.port)
    _make_demo(arguments, folder)
    if arguments.db:
        os.environ["NOTEBOOK_DB"] = arguments.db  # the server in this process reads it there
    write(f"Starting JupyterLab on {folder} (Ctrl-C stops it) ...\n")
    sys.stdout.flush()
    _serve(folder, port, not arguments.no_browser)
    return 0


def _make_folder(named: str) -> Path:
    folder = Path(os.path.realpath(os.path.expanduser(named)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{str(folder)!r} cannot be made: {error.strerror}.") from None
    return folder


def _existing(folder: Path) -> RunningServer | None:
    """Return a server of this very folder that has the extension on."""
    for server in running_servers():
        if os.path.realpath(server.root) == str(folder):
            try:
                client = ServerClient(ServerAddress(server.url, server.token, server.socket))
                client.health()
            except BlackRoadError:
                continue
            return server
    return None


def _link(server: RunningServer, folder: Path) -> str:
    return _address(server.url, server.token, folder)


def _address(url: str, token: str, folder: Path) -> str:
    page = f"lab/tree/{quote(DEMO)}.ipynb" if (folder / f"{DEMO}.ipynb").exists() else "lab"
    return f"{url}{page}?{urlencode({'token': token})}"


def _free_port(wanted: int | None) -> int:
    tried = [wanted] if wanted else range(FIRST_PORT, FIRST_PORT + PORTS_TRIED)
    for port in tried:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    if wanted:
        raise InvalidInput(f"port {wanted} is in use; give another, or none to take a free one.")
    raise InvalidInput(f"no port from {FIRST_PORT} on is free; give one with --port.")


def _make_demo(arguments: argparse.Namespace, folder: Path) -> None:
    """Copy the demo notebook into a folder that has none, and register it."""
    from blackroad_nb.cli.parts import run_with_parts
    from blackroad_nb.local import LocalParts

    async def work(parts: LocalParts) -> None:
        await parts.templates.copy(DEMO, str(folder / f"{DEMO}.ipynb"))

    if not any(folder.glob("*.ipynb")):
        run_with_parts(arguments, work)


def _serve(folder: Path, port: int, opens_browser: bool) -> None:
    skip_unused_imports()  # this process is ours alone; its server starts 0.8 s sooner
    _ask_nothing()
    token = secrets.token_hex(24)
    lab: Any = import_module("jupyterlab.labapp").LabApp
    server = lab.initialize_server(argv=_options(folder, port, token))
    link = _address(server.connection_url, token, folder)
    server.io_loop.add_callback(_announce, link, opens_browser)
    server.start()
    write("JupyterLab has stopped.\n")


def _ask_nothing() -> None:
    """Give JupyterLab our defaults: no news from elsewhere, so no question about them."""
    paths = [os.path.dirname(__file__), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, paths))


def _options(folder: Path, port: int, token: str) -> list[str]:
    """Return what decides over the user's own Jupyter configuration."""
    options = [
        f"--ServerApp.ip={LOOPBACK}",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={folder}",
        f"--IdentityProvider.token={token}",
        "--ServerApp.open_browser=False",
        "--ServerApp.answer_yes=True",
        "--ServerApp.log_level=WARN",
        "--LabApp.log_level=WARN",
        # The default is longer than tornado allows, and it warns about that.
        "--ServerApp.tornado_settings={'ws_ping_timeout': 30_000}",
        # Other users of this machine cannot read along (jupyter_client 8.10 or newer).
        "--KernelManager.transport_encryption=auto",
        # An editable install brings no data files, so the extension is named here.
        "--ServerApp.jpserver_extensions={'jupyterlab': True, 'blackroad_nb': True}",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--ServerApp.allow_root=True")
    return options


def _announce(link: str, opens_browser: bool) -> None:
    write(f"JupyterLab is ready:\n\n  {link}\n\n")
    sys.stdout.flush()
    if opens_browser and _has_screen():
        import threading
        import webbrowser

        threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()


def _has_screen() -> bool:
    """Tell whether a browser could show; a text browser would take the terminal away."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
