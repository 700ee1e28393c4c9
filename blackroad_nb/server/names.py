"""Whose server this is, who sits at the other end of a websocket, what a row is signed with."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from typing import Any

from jupyter_server.auth.identity import IdentityProvider, PasswordIdentityProvider

from blackroad_nb.core.witness import storable
from blackroad_nb.server.websocket_tap import Who

_HUB_PREFIX = "JUPYTERHUB_SERVICE_PREFIX"
_HUB_USER = "JUPYTERHUB_USER"


class Names:
    """Names for the record, as a database takes them, each with where it comes from.

    Args:
        environ: tells whether a hub started this server, and for whom.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._prefix = environ.get(_HUB_PREFIX)
        user = environ.get(_HUB_USER) if self._prefix else None
        self.owner: Who = (storable(user), "hub") if user else (storable(_os_user()), "os")

    def server(self, port: int) -> str:
        """Name this server the same way every time it starts in its place."""
        return self._prefix or f"{socket.gethostname()}:{port}"

    def behind(self, handler: Any) -> Who:
        """Name the user of a request."""
        user = handler.current_user
        name = getattr(user, "username", None) or (user if isinstance(user, str) else None)
        if name is None:
            return self.owner
        source = self.source(handler.settings.get("identity_provider"))
        # The names that Jupyter's own providers give are drawn at random.
        return (self.owner[0] if source == "token" else storable(name)), source

    def source(self, provider: Any) -> str:
        """Say where the names of signed-in users come from."""
        if self._prefix:
            return "hub"
        own = type(provider) in (IdentityProvider, PasswordIdentityProvider)
        return "token" if own else "identity"


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())
