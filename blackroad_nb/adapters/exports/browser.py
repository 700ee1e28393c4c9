"""PDF by a browser: a page is drawn without files, and without a network unless it is trusted."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blackroad_nb.errors import ExportUnavailable

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright, Route

REMEDY = (
    "run `playwright install chromium`, or install your system's (Debian: apt install chromium)."
)

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = [
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# Nobody can have this name. Source: https://www.rfc-editor.org/rfc/rfc6761#section-6.4
_ADDRESS = "http://notebook.invalid/"
_SETTLING_MS = 15_000  # for what a trusted page fetches; formulas and plots mostly
_DRAWING_MS = 500


def print_page(html: str, scripts: bool) -> bytes:
    """Return a page as PDF.

    Args:
        scripts: let its scripts run and fetch from the web, as in a trusted notebook.

    Raises:
        ExportUnavailable: no browser starts here.
    """
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright, _browser(playwright) as browser:
        context = browser.new_context(java_script_enabled=scripts, service_workers="block")
        context.route("**/*", lambda route: _serve(route, html, scripts))
        page = context.new_page()
        page.emulate_media(media="print")
        page.goto(_ADDRESS, wait_until="domcontentloaded")
        if scripts:
            with contextlib.suppress(Error):  # what it wants may not be there; print what is
                page.wait_for_load_state("networkidle", timeout=_SETTLING_MS)
            page.wait_for_timeout(_DRAWING_MS)
        return page.pdf(print_background=True, prefer_css_page_size=True)


def cannot_start() -> str | None:
    """Start a browser and say why none does, or None."""
    from playwright.sync_api import sync_playwright

    try:
        with sync_playwright() as playwright, _browser(playwright):
            return None
    except ExportUnavailable as error:
        return error.message


def installed_browser() -> str | None:
    """Return a Chromium of this machine, which Playwright does not look for."""
    return next((found for name in _PROGRAMS if (found := shutil.which(name))), None)


def _serve(route: Route, html: str, scripts: bool) -> None:
    url = route.request.url
    if url == _ADDRESS:
        route.fulfill(body=html, content_type="text/html; charset=utf-8")
    elif scripts and url.startswith(("https://", "http://")):
        route.continue_()
    else:
        route.abort()


@contextlib.contextmanager
def _browser(playwright: Playwright) -> Iterator[Browser]:
    browser = _started(playwright)
    try:
        yield browser
    finally:
        browser.close()


def _started(playwright: Playwright) -> Browser:
    """Start Playwright's own Chromium or the machine's, behind its sandbox where that works.

    The sandbox does not work for root, and in most containers.
    """
    from playwright.sync_api import Error

    own = playwright.chromium.executable_path
    programs = [own if Path(own).exists() else None, installed_browser()]
    root = os.name == "posix" and os.geteuid() == 0
    reason = "no Chromium is installed"
    for program in filter(None, programs):
        for sandbox in (False,) if root else (True, False):
            options: dict[str, Any] = {"executable_path": program, "chromium_sandbox": sandbox}
            try:
                return playwright.chromium.launch(args=_ARGUMENTS, env=_environment(), **options)
            except Error as error:
                reason = f"{program} does not start: {_reason(error)}"
    raise ExportUnavailable(f"webpdf needs a browser, but {reason}; {REMEDY}")


def _environment() -> dict[str, str | float | bool]:
    """Give the browser no home but the worker's folder, which goes when the worker goes."""
    return {**os.environ, "HOME": tempfile.gettempdir(), "XDG_CONFIG_HOME": tempfile.gettempdir()}


def _reason(error: Exception) -> str:
    """Pick what tells most from Playwright's page of text."""
    lines = [line.split("[err]")[-1].strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "rror while" in line or "annot" in line or "FATAL" in line]
    return [*telling, *lines, type(error).__name__][0][:160].rstrip(".")
