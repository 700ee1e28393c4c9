"""The folder in which `blackroad-nb up` keeps everything, and what lies where in it.

Imports the standard library only: `up` and `down` answer before a hub is imported.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from blackroad_nb.errors import InvalidInput, StoreError, StoreFull, StoreReadOnly

DEFAULT = "~/.blackroad/hub"
LOOPBACK = "127.0.0.1"
PROXY_USER = "hub"  # who asks the proxy about itself
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Ground:
    """What sessions stand on: the image of containers, and where they reach the hub."""

    image: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What one start of the hub is made of; kept, so that the next start is like it.

    Attributes:
        owner: the one user, who is the admin too.
        port, hub_port, proxy_port: on loopback: the pages, the hub itself, the proxy's own.
        hub_ip: where sessions reach the hub; not loopback when they are containers.
        proxy_secret, api_token: known to the owner's processes only.
        folder: the owner's work folder; "" takes one in the state folder.
        database: where cells of local sessions are recorded.
    """

    owner: str
    port: int
    hub_port: int
    proxy_port: int
    proxy_secret: str
    api_token: str
    database: str
    folder: str = ""
    docker: bool = False
    image: str = ""
    hub_ip: str = LOOPBACK
    hub_id: str = ""


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Paths in the folder, and the small files that hold what is secret."""

    path: Path

    @property
    def claims(self) -> Path:
        return self.path / "run"

    @property
    def up_claim(self) -> Path:
        return self.claims / "up"

    @property
    def hub_claim(self) -> Path:
        return self.claims / "hub"

    @property
    def proxy_claim(self) -> Path:
        return self.claims / "proxy"

    @property
    def log(self) -> Path:
        return self.path / "hub.log"

    @property
    def profiles(self) -> Path:
        return self.path / "profiles.yaml"

    @property
    def link_file(self) -> Path:
        return self.path / "link_token"

    @property
    def config(self) -> Path:
        return self.path / "jupyterhub_config.py"

    @property
    def operator_config(self) -> Path:
        return self.path / "hub_config.py"

    @property
    def page(self) -> Path:
        return self.path / "open.html"

    def settings(self) -> Settings | None:
        """Return what was kept; None when there is nothing or nothing that can be read."""
        try:
            kept = json.loads((self.path / "up.json").read_bytes())
            known = {field.name for field in fields(Settings)}
            return Settings(**{name: kept[name] for name in kept if name in known})
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, settings: Settings) -> None:
        """Write down the settings, and for other commands where the hub is."""
        write_private(self.path / "up.json", json.dumps(asdict(settings), indent=1))
        address = {"url": f"http://{LOOPBACK}:{settings.port}", "token": settings.api_token}
        write_private(self.path / "hub.json", json.dumps(address))

    def link(self, settings: Settings, *, new: bool = False) -> str:
        """Return the link that logs the owner in; `new` voids the one before."""
        try:
            token = "" if new else self.link_file.read_text().strip()
        except FileNotFoundError:
            token = ""
        if not token:
            token = secrets.token_urlsafe(_TOKEN_BYTES)
            write_private(self.link_file, token)
        return f"http://{LOOPBACK}:{settings.port}/hub/link?token={token}"


def new_secret() -> str:
    return secrets.token_hex(_TOKEN_BYTES)


def open_state(named: str) -> StateFolder:
    """Make the folder, for its owner alone, and see that it can be written.

    Raises:
        InvalidInput: it is no folder, or somebody else's.
        StoreError: nothing can be written there.
    """
    path = Path(os.path.realpath(os.path.expanduser(named)))
    try:
        # Each by itself: parents get the usual mode, and the database lies in the one above.
        path.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        path.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        _make_private(path)
        state = StateFolder(path)
        state.claims.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        write_private(state.claims / f".probe-{os.getpid()}", "x" * 4096)
        (state.claims / f".probe-{os.getpid()}").unlink()
    except OSError as error:
        raise _refusal(path, error) from None
    return state


def find_state(named: str) -> StateFolder | None:
    """Return the folder when there is one; makes nothing."""
    state = StateFolder(Path(os.path.realpath(os.path.expanduser(named))))
    return state if state.claims.is_dir() else None


def write_private(path: Path, content: str) -> None:
    """Replace the file whole; at no time can another user read it."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _make_private(path: Path) -> None:
    status = path.stat()
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        raise InvalidInput(
            f"The state folder {str(path)!r} belongs to another user; give one of your own with "
            "--state."
        )
    if stat.S_IMODE(status.st_mode) != _PRIVATE_FOLDER:
        path.chmod(_PRIVATE_FOLDER)


def _refusal(path: Path, error: OSError) -> InvalidInput | StoreError:
    other = "give another with --state."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(
            f"No space is left for the state folder {str(path)!r}; free some, or {other}"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreReadOnly(f"The state folder {str(path)!r} cannot be written; {other}")
    return InvalidInput(f"The state folder {str(path)!r} cannot be made: {error.strerror}; {other}")
