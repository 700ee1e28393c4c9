"""nbconvert's exporters that go through pandoc, with filters that keep a stranger in his cell."""

# mypy: allow-untyped-calls
# (nbconvert has no types)
from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any

import nbconvert.exporters
from jinja2 import pass_context
from traitlets.config import Config

from blackroad_nb.adapters.exports.mathematics import is_known_formula
from blackroad_nb.adapters.exports.programs import run_pandoc
from blackroad_nb.core.typesetting import formula_output, still_tree, with_formulas

TEX_FORMATS = frozenset({"latex", "pdf"})

_MARKDOWN = "markdown+lists_without_preceding_blankline"
_SIGNATURES = {"image/png": b"\x89PNG\r\n", "image/jpeg": b"\xff\xd8\xff"}

# Code without spaces may break too, between its words: the page would cut it off.
_LATEX = r"""((*- extends 'latex/index.tex.j2' -*))
((*- block definitions -*))
((( super() )))
    \let\WholePY\PY
    \renewcommand{\PY}[2]{\WholePY{#1}{#2}\discretionary{}{\Wrappedafterbreak}{}}
((*- endblock definitions -*))
"""

# nbconvert puts every output into a listing, where pictures and tables are only their source.
_ASCIIDOC = """{%- extends 'asciidoc/index.asciidoc.j2' -%}
{% block input %}
{{ super() | replace("+*In[", "*In[", 1) | replace("]:*+", "]:*", 1) }}
{% endblock input %}
{% block output_group %}
*Out[{{ cell.execution_count|replace(None, " ") }}]:*

{{ super.super() }}
{% endblock output_group %}
{% block stream %}
----
{{ output.text }}
----
{% endblock stream %}
{% block data_text scoped %}
----
{{ output.data['text/plain'] }}
----
{% endblock data_text %}
{% block error %}
----
{{ super() }}
----
{% endblock error %}
{% block data_svg %}
image::{{ output.metadata.filenames['image/svg+xml'] | path2url }}[output]
{% endblock data_svg %}
{% block data_png %}
image::{{ output.metadata.filenames['image/png'] | path2url }}[output]
{% endblock data_png %}
{% block data_jpg %}
image::{{ output.metadata.filenames['image/jpeg'] | path2url }}[output]
{% endblock data_jpg %}
"""
# nbconvert has what programs print read for markup, and stars in it are errors.
_RST = """{%- extends 'rst/index.rst.j2' -%}
{% block stream %}
{% if output.text.strip() %}
::

{{ output.text | indent }}
{% endif %}
{% endblock stream %}
{% block data_text scoped %}
{% if output.data['text/plain'].strip() %}
::

{{ output.data['text/plain'] | indent }}
{% endif %}
{% endblock data_text %}
"""


def document_exporter(format: str, trusted: bool) -> Any:
    """Return an exporter to asciidoc, latex or rst; pdf is made of latex elsewhere."""
    options: dict[str, Any] = {"extra_template_basedirs": [], "optimistic_validation": True}
    if format in TEX_FORMATS:
        still = _Still(trusted)
        filters: dict[str, Callable[..., Any]] = {
            "convert_pandoc": still.convert,
            "convert_explicitly_relative_paths": still.cell,
            "resolve_references": _unchanged,  # it writes words into TeX as they are
        }
        exporter = nbconvert.exporters.LatexExporter(filters=filters, **options)
        exporter.raw_template = _LATEX
        return exporter
    name, template = {
        "asciidoc": ("ASCIIDocExporter", _ASCIIDOC),
        "rst": ("RSTExporter", _RST),
    }[format]
    exporter = getattr(nbconvert.exporters, name)(
        filters={"convert_pandoc": _to_text, "markdown2asciidoc": _to_asciidoc},
        config=Config({"ExtractAttachmentsPreprocessor": {"enabled": True}}),
        **options,
    )
    exporter.raw_template = template
    return exporter


def still_tex(notebook: Any, format: str, trusted: bool) -> None:
    """Take out in place what TeX would run or stop at; what is left says the same."""
    for cell in notebook.cells:
        if cell.cell_type == "raw" and not trusted and format in TEX_FORMATS:
            _quote_raw(cell)
        for output in cell.get("outputs", ()):
            if "data" in output:
                _still_output(output.data, format, trusted)


class _Still:
    """Filters of the LaTeX template, in the order that it calls them for a cell."""

    def __init__(self, trusted: bool) -> None:
        self._is_formula = None if trusted else is_known_formula

    def convert(
        self, source: str, from_format: str, to_format: str, extra_args: Sequence[str] | None = None
    ) -> str:
        if to_format == "latex" and from_format.startswith("markdown"):  # an output
            tree = run_pandoc(source, from_format, "json", extra_args)
            return run_pandoc(self._stilled(tree, ()), "json", "latex")
        return run_pandoc(source, from_format, to_format, extra_args)

    @pass_context
    def cell(self, context: Any, tree: str) -> str:
        return self._stilled(tree, tuple(context.get("resources", {}).get("outputs") or ()))

    def _stilled(self, tree: str, pictures: Sequence[str]) -> str:
        return json.dumps(still_tree(json.loads(tree), pictures, self._is_formula))


def _to_text(
    source: str, from_format: str, to_format: str, extra_args: Sequence[str] | None = None
) -> str:
    if not from_format.startswith("markdown"):
        return run_pandoc(source, from_format, to_format, extra_args)
    tree = json.loads(run_pandoc(source, from_format, "json"))
    return run_pandoc(json.dumps(with_formulas(tree)), "json", to_format, extra_args)


def _to_asciidoc(source: str) -> str:
    return _to_text(source, _MARKDOWN, "asciidoc")


def _unchanged(tree: str) -> str:
    return tree


def _quote_raw(cell: Any) -> None:
    """Show a raw cell for TeX as its text: a stranger's TeX is not run."""
    kind = str(cell.metadata.get("raw_mimetype", "")).lower()
    if kind in ("", "text/latex", "text/x-tex") and cell.source.strip():
        fence = "`" * 3
        while fence in cell.source:
            fence += "`"
        cell.cell_type = "markdown"
        cell.source = f"{fence}\n{cell.source}\n{fence}"


def _still_output(data: dict[str, Any], format: str, trusted: bool) -> None:
    latex = data.get("text/latex")
    if latex is not None and not trusted:
        formula = formula_output(latex, is_known_formula)
        if formula is not None and format in TEX_FORMATS:
            data["text/latex"] = formula
        elif formula is None:
            del data["text/latex"]
            if not data:
                data["text/plain"] = latex
    if format not in TEX_FORMATS:
        return
    for kind, signature in _SIGNATURES.items():
        if kind in data and not binascii.a2b_base64(data[kind]).startswith(signature):
            del data[kind]
            data.setdefault("text/plain", f"[An output that is no {kind}.]")
