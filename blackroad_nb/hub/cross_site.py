"""Did this GET come from somebody who followed a link, or from a page that fetched it?

`/hub/spawn?opt-profile=…` starts a session, and a GET carries no token against forgery.
A link may start one: whoever follows it sees what happens. A picture, a frame, a
prefetch or a script of another page may not.
"""

from __future__ import annotations

from collections.abc import Mapping


def is_navigation(headers: Mapping[str, str]) -> bool:
    """Tell whether somebody opened this address in a window of the browser.

    Browsers say so in `Sec-Fetch-*` (https://www.w3.org/TR/fetch-metadata/), but only
    to secure origins; elsewhere the wanted media type tells a page from a picture.
    """
    if "prefetch" in _lower(headers, "Sec-Purpose") or "prefetch" in _lower(headers, "Purpose"):
        return False
    mode, target = _lower(headers, "Sec-Fetch-Mode"), _lower(headers, "Sec-Fetch-Dest")
    if mode or target or _lower(headers, "Sec-Fetch-Site"):
        return mode == "navigate" and target in ("", "document")
    return "text/html" in _lower(headers, "Accept")


def _lower(headers: Mapping[str, str], name: str) -> str:
    return headers.get(name, "").lower()
