"""One link logs one person in: who has it is the owner of this hub, and nobody else gets in.

The link is printed by `blackroad-nb up` and carries a random token that lies in a file only
its owner can read. The file is read at each attempt, so a new link holds at once.
"""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.handlers.base import BaseHandler
from jupyterhub.utils import url_path_join
from tornado import web
from traitlets import Unicode, default

LEAST_TOKEN = 32  # characters; a shorter file is no token of ours
NO_LINK = (
    "This link is not valid, or not any more. Run `blackroad-nb up` in a terminal of "
    "this machine; it prints the valid one."
)
_PAGE = """\
<main class="container" id="link-login" style="max-width: 40rem; padding-top: 2rem">
  <h1>Open the printed link</h1>
  {% if login_error %}<p class="login_error" role="alert">{{ login_error | e }}</p>{% endif %}
  <p>This hub belongs to one person, and one link lets that person in. It was printed in the
     terminal where the hub was started; open it there, or copy it into the address bar.</p>
  <p>To see it once more, run this in a terminal of the same machine:</p>
  <pre><code>blackroad-nb up</code></pre>
  <p class="text-muted">Is the link known to somebody else?
     <code>blackroad-nb up --new-link</code> makes another; the old one is void at once.</p>
</main>
"""


class LinkAuthenticator(Authenticator):  # type: ignore[misc]  # jupyterhub has no types
    """Logs `owner` in who brings the token of `link_file`."""

    link_file = Unicode(config=True, help="The file with the token; only its owner reads it.")
    owner = Unicode(config=True, help="The name of the one user there is.")

    @default("custom_html")
    def _page(self) -> str:
        return _PAGE

    def get_handlers(self, _app: Any) -> list[tuple[str, type[BaseHandler]]]:
        return [("/link", LinkHandler)]

    async def authenticate(self, _handler: Any, data: dict[str, str]) -> str:
        """Return the owner's name. Raises HTTPError 403 for any token but the right one."""
        if not self.is_valid(str((data or {}).get("token") or "")):
            raise web.HTTPError(403, NO_LINK)
        return self.owner

    def is_valid(self, token: str) -> bool:
        """Compare with the token of the file, in a time that does not depend on it."""
        try:
            expected = Path(self.link_file).read_bytes().strip()
        except OSError as error:
            self.log.error("The file of the link cannot be read: %s", error)  # noqa: TRY400
            return False
        same = hmac.compare_digest(token.encode("utf-8", "replace"), expected)
        return same and len(expected) >= LEAST_TOKEN


class LinkHandler(BaseHandler):  # type: ignore[misc]
    """`/hub/link?token=…`: log in and go on to the session, or to the page that starts one."""

    def initialize(self) -> None:
        self._token = self.get_query_argument("token", "")
        # From here on nothing that is logged, shown or redirected to can hold the token.
        self.request.uri = self.request.path
        self.request.query = ""
        for arguments in (self.request.arguments, self.request.query_arguments):
            arguments.pop("token", None)

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")

    async def get(self) -> None:
        user = await self.login_user({"token": self._token})
        assert user is not None  # `authenticate` refuses by raising
        self._jupyterhub_user = user
        if user.spawner.active:
            self.redirect(user.url)
        else:
            self.redirect(url_path_join(self.hub.base_url, "spawn"))
