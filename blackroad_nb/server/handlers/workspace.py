"""/blackroad/workspace: where a session opens that was started with a template."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web

from blackroad_nb.core.template import LAB
from blackroad_nb.server.handlers.base import SETTING, authorized

if TYPE_CHECKING:
    from blackroad_nb.server.wiring import Parts

RESOURCE = "blackroad:templates"

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Your session is ready</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 12vh auto; padding: 0 1rem;
  overflow-wrap: anywhere; }}
h1 {{ font-size: 1.6rem; }}
p.why {{ border: 1px solid; border-left-width: .35rem; border-radius: .4rem;
  padding: .75rem 1rem; }}
a {{ font-weight: 600; }}
</style></head><body><main>
<h1>Your session is ready, but without its template</h1>
<p class="why" role="alert">{why}</p>
<p>Nothing else is wrong: you can work, and start again once that is mended.</p>
<p><a href="{lab}">Open JupyterLab</a></p>
</main></body></html>
"""


class WorkspacePage(JupyterHandler):
    """Leads to JupyterLab with the copy open, or says why there is no copy."""

    @property
    def parts(self) -> Parts:
        parts: Parts = self.settings[SETTING]
        return parts

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self) -> None:
        workspace = self.parts.workspace
        lab = url_path_join(self.base_url, LAB)
        if workspace.message:
            self.set_header("Cache-Control", "no-store")
            self.finish(PAGE.format(why=escape(workspace.message), lab=escape(lab)))
            return
        if self.parts.workspace_file_exists():  # it may be moved or deleted by now
            lab = url_path_join(lab, "tree", quote(workspace.path or ""))
        self.redirect(lab)
