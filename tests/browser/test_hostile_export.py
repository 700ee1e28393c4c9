"""Exports of hostile notebooks, opened in a real browser: nothing may run or be fetched."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hostile_notebooks import (
    OWNED,
    PIXEL,
    code,
    display,
    hostile_notebooks,
    html,
    markdown,
    notebook,
)
from playwright.sync_api import Browser, Page

from blackroad_nb.adapters.exports.rendering import convert

pytestmark = pytest.mark.browser

TRICKS = hostile_notebooks()
PRESSABLE = "a, button, summary, input, [onclick], b, mi, maction, x-y, text, area"


class Trap:
    """A page that notes everything a static document has no business to do.

    Args:
        policy: keep to the page's own security policy. Without it only the allowlist
            is left to protect the reader, which is what most tests here are about.
    """

    def __init__(self, browser: Browser, policy: bool) -> None:
        self._context = browser.new_context(bypass_csp=not policy)
        self._context.add_init_script(
            "window.addEventListener('securitypolicyviolation', e => {"
            " (window.violations ||= []).push(e.violatedDirective) });"
        )
        self.seen: list[str] = []
        self._document = ""
        self._context.route("**/*", self._route)
        self._context.on("page", self._opened)
        self.page = self._context.new_page()

    def _opened(self, page: Page) -> None:
        page.on("dialog", lambda dialog: (self.seen.append("dialog"), dialog.dismiss()))
        page.on("framenavigated", lambda frame: self._moved(frame.url))

    def _route(self, route: Any) -> None:
        url = route.request.url
        if url != self._document:
            self.seen.append(f"request {url[:80]}")
            route.abort()
        else:
            route.continue_()

    def _moved(self, url: str) -> None:
        if url.split("#", maxsplit=1)[0] not in (self._document, "about:blank"):
            self.seen.append(f"navigation {url[:80]}")

    def empty(self) -> None:
        self.page.goto("about:blank")
        self.seen.clear()

    def open(self, file: Path) -> None:
        self._document = file.as_uri()
        self.page.goto(self._document, wait_until="load")

    def provoke(self) -> None:
        """Hover over and press whatever can be, and give what follows time to happen."""
        self.page.evaluate(
            """selector => {
                for (const e of document.querySelectorAll(selector)) {
                    const href = e.getAttribute('href') || '';
                    if (/^https?:/.test(href)) continue;  // leads where it says
                    for (const kind of ['pointerenter', 'mouseover', 'focus', 'click'])
                        e.dispatchEvent(new MouseEvent(kind, {bubbles: true, cancelable: true}));
                    if (e.focus) e.focus();
                }
            }""",
            PRESSABLE,
        )
        self.page.evaluate("() => new Promise(done => setTimeout(done, 30))")

    def caught(self) -> list[str]:
        if self.page.evaluate("() => !!window.owned"):
            self.seen.append("code ran")
        if self.page.evaluate("() => document.scripts.length"):
            self.seen.append("a script element")
        handlers = """() => [...document.querySelectorAll('*')].flatMap(e =>
            e.getAttributeNames().filter(n => n.startsWith('on')).map(n => e.tagName + ' ' + n))"""
        return [*self.seen, *self.page.evaluate(handlers)]

    def close(self) -> None:
        self._context.close()


@pytest.fixture(scope="module")
def window(chromium: Browser) -> Iterator[Trap]:
    trap = Trap(chromium, policy=False)
    yield trap
    trap.close()


@pytest.fixture
def trap(window: Trap) -> Trap:
    """The module's window, emptied: a new one for each of the tricks takes a minute."""
    window.empty()
    return window


def written(
    folder: Path, content: dict[str, Any], format: str = "html", trusted: bool = False
) -> Path:
    """Export as a worker would and write the page."""
    exported = convert(
        json.dumps(content).encode(), "stranger's", format, trusted, folder=str(folder)
    )
    file = folder / f"page{exported.extension}"
    file.write_bytes(exported.body)
    return file


@pytest.mark.parametrize("name", TRICKS)
def test_nothing_runs_or_is_fetched(name: str, trap: Trap, tmp_path: Path) -> None:
    trap.open(written(tmp_path, TRICKS[name]))
    trap.provoke()
    assert trap.caught() == []


@pytest.mark.parametrize("name", ["script", "image error", "javascript link", "slideshow", "title"])
def test_slides_are_as_still(name: str, trap: Trap, tmp_path: Path) -> None:
    trap.open(written(tmp_path, TRICKS[name], "slides"))
    trap.provoke()
    assert trap.caught() == []


@pytest.mark.parametrize(
    "name",
    [
        "script",
        "image error",
        "mermaid output",
        "javascript output",
        "javascript link",
        "image size",
    ],
)
def test_the_trap_springs_on_a_trusted_export(name: str, trap: Trap, tmp_path: Path) -> None:
    """The control: the same notebooks do run their code when they are trusted."""
    trap.open(written(tmp_path, TRICKS[name], trusted=True))
    trap.provoke()
    assert "code ran" in trap.caught()


@pytest.mark.parametrize("name", ["picture of another host", "style sheet"])
def test_the_trap_sees_what_a_trusted_export_fetches(name: str, trap: Trap, tmp_path: Path) -> None:
    """The other half of the control."""
    trap.open(written(tmp_path, TRICKS[name], trusted=True))
    trap.provoke()
    assert [seen for seen in trap.seen if seen.startswith("request https://owned.test/")]


def test_the_policy_holds_where_the_allowlist_would_fail(chromium: Browser, tmp_path: Path) -> None:
    """Code that is put into a finished page is stopped by the page's own policy."""
    file = written(tmp_path, notebook(markdown("x")))
    injected = f'<main><script>{OWNED}</script><img src=x onerror="{OWNED}">'
    file.write_text(file.read_text().replace("<main>", injected + "<img src=https://owned.test/>"))
    trap = Trap(chromium, policy=True)
    trap.open(file)
    trap.provoke()
    assert trap.page.evaluate("() => window.owned") is None
    assert set(trap.page.evaluate("() => window.violations")) >= {"script-src-elem", "img-src"}
    assert trap.seen == []
    trap.close()


BENIGN = notebook(
    markdown(
        "# Report\n\nText with **bold**, `code`, [a link](https://example.com/x?a=1&b=2), "
        "[within](#Report) and $\\hat\\beta = (X^\\top X)^{-1} X^\\top y$.\n\n"
        "$$\\sum_{i=1}^n \\frac{x_i}{n}$$\n\n- [x] done\n- [ ] open\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nif a < b and c:\n    pass\n```\n"
    ),
    html(
        "<div><style scoped>.dataframe tbody tr th {vertical-align: top}</style>"
        '<table border="1" class="dataframe"><thead><tr style="text-align: right;"><th></th>'
        '<th>price</th></tr></thead><tbody><tr><th>0</th><td style="color: red">1.5</td></tr>'
        "</tbody>"
        "</table></div><details><summary>More</summary>hidden</details>"
    ),
    code(display(png=PIXEL, plain="<Figure>")),
    code(
        display(
            svg='<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40">'
            '<circle cx="20" cy="20" r="15" fill="teal"/></svg>'
        )
    ),
    code(display(latex="$\\displaystyle x^{2}$"), source="from sympy import *\nx**2  # a comment"),
    code(
        {"output_type": "stream", "name": "stdout", "text": "\x1b[31mred\x1b[0m <plain> & text\n"},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31mE\x1b[0m: v"]},
        source="print('<b>')",
    ),
    language_info={"name": "python", "pygments_lexer": "ipython3"},
)


def test_what_is_harmless_is_all_there(trap: Trap, tmp_path: Path) -> None:
    trap.open(written(tmp_path, BENIGN))
    page = trap.page
    assert page.inner_text("h1").startswith("Report")
    assert page.get_attribute("a >> text=a link", "href") == "https://example.com/x?a=1&b=2"
    assert page.locator("math").count() == 3
    assert page.locator("math >> nth=1").bounding_box()["height"] > 20
    assert page.locator("table.dataframe td").inner_text() == "1.5"
    assert (
        page.locator("table.dataframe td").evaluate("e => getComputedStyle(e).color")
        == "rgb(255, 0, 0)"
    )
    assert page.locator("input[type=checkbox][disabled]").count() == 2
    images = page.locator("img").evaluate_all("all => all.map(i => [i.naturalWidth, i.alt])")
    assert images == [[1, "No description has been provided for this image"], [40, images[1][1]]]
    keyword = page.locator(".highlight .kn, .highlight .k").first
    plain = page.locator("body").evaluate("e => getComputedStyle(e).color")
    assert keyword.evaluate("e => getComputedStyle(e).color") != plain
    assert "red <plain> & text" in page.inner_text("main")
    assert "print('<b>')" in page.inner_text("main")
    assert "if a < b and c:" in page.inner_text("main")
    assert page.locator(".ansi-red-fg").first.evaluate("e => getComputedStyle(e).color") != plain
    page.click("summary")
    assert page.locator("details").evaluate("e => e.open")
    assert trap.caught() == []


def test_errors_and_stderr_are_as_red_as_in_jupyterlab(trap: Trap, tmp_path: Path) -> None:
    outputs = (
        {"output_type": "stream", "name": "stdout", "text": "printed\n"},
        {"output_type": "stream", "name": "stderr", "text": "a warning\n"},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["E: v"]},
    )
    colours = {}
    for trusted in (False, True):
        trap.open(written(tmp_path, notebook(code(*outputs)), trusted=trusted))
        colours[trusted] = trap.page.locator(".jp-RenderedText").evaluate_all(
            "all => all.map(e => getComputedStyle(e).backgroundColor)"
        )
    printed, *red = colours[False]
    assert red == ["rgb(255, 221, 221)"] * 2
    assert printed not in red
    assert colours[False] == colours[True]


STYLER = """<style type="text/css">
#T_1_row0_col0, #T_1_row1_col0 { background-color: #440154;\n  color: #f1f1f1; }
#T_1 td, td { background-color: red; }
#T_1_row1_col0 { background-color: teal; position: fixed; background: url(https://owned.test/x) }
@media print { #T_1_row0_col1 { color: red } }
</style><table id="T_1"><tbody>
<tr><td id="T_1_row0_col0" class="data row0 col0">1</td><td id="T_1_row0_col1">2</td></tr>
<tr><td id="T_1_row1_col0">3</td><td id="T_1_row1_col1">4</td></tr></tbody></table>"""


def test_a_heat_map_of_pandas_keeps_its_colours(trap: Trap, tmp_path: Path) -> None:
    trap.open(written(tmp_path, notebook(html(STYLER))))
    colours = trap.page.locator("td").evaluate_all(
        "all => all.map(e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color])"
    )
    assert colours[0] == ["rgb(68, 1, 84)", "rgb(241, 241, 241)"]
    assert colours[1] == colours[3]
    assert colours[1][0] not in ("rgb(255, 0, 0)", "rgb(68, 1, 84)")
    assert colours[2] == colours[3]  # what would fetch loses all its style
    assert trap.caught() == []


def test_a_picture_beside_the_notebook_is_shown(trap: Trap, tmp_path: Path) -> None:
    (tmp_path / "chart.png").write_bytes(base64.b64decode(PIXEL))
    shown = notebook(markdown("![chart](chart.png) and ![gone](gone.png)"))
    trap.open(written(tmp_path, shown))
    images = trap.page.locator("img").evaluate_all("all => all.map(i => [i.naturalWidth, i.alt])")
    assert images == [[1, "chart"]]
    assert "[Left out of this safe export: the picture gone.png" in trap.page.inner_text("main")
    assert trap.caught() == []


def test_a_formula_in_display_style_has_its_limits_below(trap: Trap, tmp_path: Path) -> None:
    """`IPython.display.Math` writes every formula with `\\displaystyle`."""
    formulas = ["$\\sum_i x_i$", "$\\displaystyle \\sum_i x_i$"]
    trap.open(written(tmp_path, notebook(*(code(display(latex=each)) for each in formulas))))
    small, large = trap.page.locator("math").all()
    assert large.get_attribute("display") == "inline"
    assert large.bounding_box()["height"] > 1.5 * small.bounding_box()["height"]
    limit, sign = (large.locator(part).bounding_box() for part in ("munder mi", "munder mo"))
    assert limit["y"] > sign["y"] + sign["height"] / 2


def test_a_link_to_the_web_leads_there_and_tells_nothing(trap: Trap, tmp_path: Path) -> None:
    trap.open(written(tmp_path, BENIGN))
    link = trap.page.locator("a >> text=a link")
    assert set((link.get_attribute("rel") or "").split()) >= {"noopener", "noreferrer"}
    link.click()
    trap.page.wait_for_function("() => true")
    asked = [seen.split()[1] for seen in trap.seen if seen.startswith("request")]
    assert [urlsplit(url).hostname for url in asked] == ["example.com"]


def test_a_sloppy_cell_does_not_swallow_the_next(trap: Trap, tmp_path: Path) -> None:
    """An unclosed tag, attribute or comment ends with its cell."""
    sloppy = ["<div><table><tr><td>", "</div></div></main>", "<b", "<a href='", "<!-- ", "<ul><li>"]
    cells = [cell for text in sloppy for cell in (html(text), markdown("# next"))]
    trap.open(written(tmp_path, notebook(*cells)))
    headings = trap.page.locator("main > .jp-MarkdownCell h1")
    assert headings.count() == len(sloppy)
    assert all("next" in text for text in headings.all_inner_texts())
