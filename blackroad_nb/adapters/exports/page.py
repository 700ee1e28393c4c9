"""A static page of a notebook: nbconvert renders the cells, we build everything around.

nbconvert's own page loads MathJax, RequireJS and mermaid from the net and leaves
sanitising to its templates, one output at a time (CVE-2026-6658 was one forgotten). Here
each piece is sanitised as it is rendered, so that an unclosed tag stays in its cell, and
the finished body once more as a whole, so that no template can forget anything.
"""

# mypy: allow-untyped-calls
# (nbconvert has no types)
from __future__ import annotations

import re
from html import escape
from typing import Any
from urllib.parse import unquote

from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter, TemplateExporter
from nbconvert.filters.ansi import ansi2html
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from traitlets.config import Config

from blackroad_nb.adapters.exports.mathematics import formula, latex_to_html
from blackroad_nb.adapters.exports.sanitizer import Sanitizer, clean_html, describe_images
from blackroad_nb.core.export import CONTENT_SECURITY_POLICY, SAFE_TYPES

_RESET = re.compile(r"\x1b\[0?m")
_PIECE = 4096  # characters

_BLOCKS = """
{%- block data_latex scoped -%}
<div class="jp-RenderedLatex jp-OutputArea-output {{ extra_class }}">
{{ output.data['text/latex'] | latex_to_html | clean_html }}
</div>
{%- endblock data_latex -%}
{%- block header %}{% endblock header -%}
{%- block body_header %}{% endblock body_header -%}
{%- block body_footer %}{% endblock body_footer -%}
{%- block footer %}{% endblock footer -%}
"""
_DOCUMENT = "{%- extends 'lab/base.html.j2' -%}" + _BLOCKS
_SLIDES = "{%- extends 'reveal/base.html.j2' -%}" + _BLOCKS

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1.0">
<title>{title}</title>
{styles}
</head>
<body class="jp-Notebook" data-jp-theme-light="true" data-jp-theme-name="JupyterLab Light">
<main>
{body}
</main>
</body>
</html>
"""

# What nbconvert's page sets beside the Lab's style sheets, as far as it applies here.
_DOCUMENT_STYLE = """
* { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
a.anchor-link, .jp-Collapser { display: none; }
.jp-InputArea, .jp-InputArea-editor { overflow: hidden; }
.cm-editor.cm-s-jupyter .highlight pre {
  margin: 0; padding: var(--jp-code-padding) 4px;
  font-family: inherit; font-size: inherit; line-height: inherit; color: inherit;
}
.jp-OutputArea-output pre { line-height: inherit; font-family: inherit; }
.jp-RenderedText pre { color: var(--jp-content-font-color1); font-size: var(--jp-code-font-size); }
@page { margin: 0.5in; }
@media print {
  .jp-Cell-inputWrapper, .jp-Cell-outputWrapper { display: block; }
  .cm-editor.cm-s-jupyter .highlight pre, .jp-OutputArea-output pre {
    white-space: pre-wrap; overflow-wrap: anywhere;
  }
}
"""
# Slides without a script: each fills the window, and the page snaps from one to the next.
_SLIDES_STYLE = """
html { scroll-snap-type: y proximity; }
:root { --jp-content-font-size1: 20px; --jp-code-font-size: 18px; --jp-cell-prompt-width: 0; }
body.jp-Notebook { padding: 0; }
main > section > section {
  box-sizing: border-box; min-height: 100vh; padding: 6vh 8vw; scroll-snap-align: start;
  border-bottom: 1px solid var(--jp-border-color2); break-after: page;
}
.jp-InputPrompt, .jp-OutputPrompt, aside.notes { display: none; }
.cm-editor.cm-s-jupyter .highlight pre { white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def _coloured(text: str) -> str:
    """Do what nbconvert's `ansi2html` does, which copies all that is left at each colour.

    After a reset nothing of what came before counts, so a long text is cut there.
    """
    pieces, begin = [], 0
    for reset in _RESET.finditer(text):
        if reset.end() - begin > _PIECE:
            pieces.append(text[begin : reset.end()])
            begin = reset.end()
    return "".join(str(ansi2html(piece)) for piece in [*pieces, text[begin:]])


class _StillMarkdown(IPythonRenderer):
    """Markdown whose formulas are MathML and whose diagrams stay source code."""

    def block_math(self, body: str) -> str:
        return formula(body, block=True)

    def inline_math(self, body: str) -> str:
        return formula(body, block=False)

    def latex_environment(self, name: str, body: str) -> str:
        return formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", block=True)

    def block_mermaidjs(self, code: str) -> str:
        return f"<pre><code>{escape(code)}</code></pre>"

    def _embed_image_or_attachment(self, src: str) -> str:
        name = src.removeprefix("attachment:")
        if name != src and not self.attachments.get(name):
            if not self.attachments.get(unquote(name)):
                return ""  # a lost attachment shows its text instead of failing the whole page
            src = f"attachment:{unquote(name)}"
        return super()._embed_image_or_attachment(src)


class _BodyExporter(HTMLExporter):
    """nbconvert's cells without its page, its scripts and its second parse of the result."""

    optimistic_validation = True
    exclude_output_stdin = False  # JupyterLab keeps what a cell asked and what the user typed

    @property
    def default_config(self) -> Config:
        config = Config({"NbConvertBase": {"display_data_priority": list(SAFE_TYPES)}})
        merged: Config = super().default_config.copy()
        merged.merge(config)
        return merged

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        renderer = _StillMarkdown(
            escape=False, attachments=context.get("cell", {}).get("attachments", {})
        )
        return str(MarkdownWithMath(renderer=renderer).render(source))

    def default_filters(self) -> Any:
        yield from super().default_filters()
        yield "markdown2html", self.markdown2html
        yield "ansi2html", _coloured
        yield "latex_to_html", latex_to_html

    def from_notebook_node(self, nb: Any, resources: Any = None, **kw: Any) -> Any:
        language = nb.metadata.get("language_info", {})
        lexer = language.get("pygments_lexer", language.get("name"))
        self.register_filter("highlight_code", Highlight2HTML(pygments_lexer=lexer, parent=self))
        # HTMLExporter's own method would parse and print the result once more.
        return TemplateExporter.from_notebook_node(self, nb, resources, **kw)


class PageExporter:
    """Renders safe pages; made once, used often.

    Args:
        slides: one slide a screen instead of one long page.
    """

    def __init__(self, slides: bool = False) -> None:
        self._exporter = _BodyExporter(
            template_name="reveal" if slides else "lab",
            # The default is the working folder: a stranger's `lab` folder would be run.
            extra_template_basedirs=[],
            sanitize_html=True,
        )
        self._exporter.raw_template = _SLIDES if slides else _DOCUMENT
        self._own_style = _SLIDES_STYLE if slides else _DOCUMENT_STYLE

    def render(self, notebook: Any, title: str, sanitizer: Sanitizer) -> str:
        """Return the page of a notebook that `reduce_notebook` made."""
        self._exporter.register_filter("clean_html", sanitizer.clean)
        body, resources = self._exporter.from_notebook_node(notebook)
        shown = notebook.metadata.get("title") or title
        return _PAGE.format(
            policy=CONTENT_SECURITY_POLICY,
            title=escape(shown),
            styles=self._styles(resources),
            body=describe_images(clean_html(body)),
        )

    def _styles(self, resources: Any) -> str:
        parts = [
            *(f"<style>\n{css}</style>" for css in resources["inlining"]["css"]),
            resources["include_css"]("static/index.css"),
            resources["include_css"]("static/theme-light.css"),
            f"<style>{_DOCUMENT_STYLE}</style>",
        ]
        if self._own_style is not _DOCUMENT_STYLE:
            parts.append(f"<style>{self._own_style}</style>")
        return "\n".join(parts)
