"""Which hub a command means, and with which token it asks there."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from blackroad_nb.adapters.session_client import HubAddress, SessionClient, hub_url
from blackroad_nb.errors import HubUnreachable, InvalidInput

URL_VARIABLE = "BLACKROAD_HUB_URL"
TOKEN_VARIABLE = "BLACKROAD_HUB_TOKEN"  # noqa: S105  # its name, not a token
STATE = "~/.blackroad/hub"
FILE = "hub.json"


def choose_hub(arguments: argparse.Namespace) -> SessionClient:
    """Return a client of the hub that was named, else of the one that `up` opened.

    The token comes from the environment, else from what `up` wrote down; that one is
    sent to no other hub.

    Raises:
        HubUnreachable: no hub was named or opened, or there is no token for it.
        InvalidInput: the address is none.
    """
    named = arguments.hub or os.environ.get(URL_VARIABLE)
    token = os.environ.get(TOKEN_VARIABLE)
    if named and token:
        return _client(named, token)
    known = _known(Path(arguments.state or STATE).expanduser())
    url = named or (known.url if known else None)
    if url is None:
        raise HubUnreachable(
            f"No hub is known here; `blackroad-nb up` opens one, or name one with --hub or"
            f" {URL_VARIABLE}."
        )
    if token is None and known and hub_url(known.url) == hub_url(url):
        token = known.token
    if not token:
        raise HubUnreachable(
            f"There is no token for {hub_url(url)}; make one on the hub's Token page and set"
            f" {TOKEN_VARIABLE}."
        )
    return _client(url, token)


def _client(url: str, token: str) -> SessionClient:
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput("The token is none: it has characters that no token has.")
    return SessionClient(HubAddress(hub_url(url), token))


def _known(state: Path) -> HubAddress | None:
    """Return what `up` wrote down; None when it never opened a hub there."""
    file = state / FILE
    try:
        kept = json.loads(file.read_bytes())
        return HubAddress(str(kept["url"]), str(kept["token"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HubUnreachable(f"{str(file)!r} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise HubUnreachable(
            f"{str(file)!r} is damaged; `blackroad-nb up` writes it anew."
        ) from None
