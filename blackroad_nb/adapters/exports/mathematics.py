"""Formulas as MathML, which browsers draw without a script and without the network."""

from __future__ import annotations

from functools import cache
from html import escape

from latex2mathml import commands, symbols_parser
from latex2mathml.converter import convert

from blackroad_nb.core.typesetting import is_formula

_LONGEST = 20_000  # characters; a formula beyond this is no formula


def formula(tex: str, block: bool) -> str:
    """Return MathML for a formula, or its escaped source when it cannot be read.

    The result is not safe by itself: what a formula says in `\\text{}` comes out as
    markup, so it must pass the sanitiser with the rest of its page.
    """
    source = tex.strip()
    written = f"$${escape(tex, quote=False)}$$" if block else f"${escape(tex, quote=False)}$"
    if not source or len(source) > _LONGEST:
        return written
    # IPython's `Math` begins so; the converter puts limits below a sum only for its own argument.
    large = block or source.startswith("\\displaystyle")
    try:
        drawn = convert(source, display="block" if large else "inline")
        return drawn if block else drawn.replace('display="block"', 'display="inline"', 1)
    except Exception:  # the converter has no common error: what it cannot read stays as written
        return written


def is_known_formula(tex: str) -> bool:
    """Tell whether a formula holds only commands that do nothing but draw."""
    return is_formula(tex, _known_commands())


@cache
def _known_commands() -> frozenset[str]:
    names = set(_ALSO_KNOWN)
    for value in vars(commands).values():
        names.update([value] if isinstance(value, str) else _strings(value))
    names.update(_strings(symbols_parser.parse_symbols()))
    words = (name[1:] for name in names if name.startswith("\\"))
    return frozenset(word for word in words if word.isascii() and word.isalpha())


def _strings(value: object) -> list[str]:
    listed = value if isinstance(value, (tuple, list, set, frozenset, dict)) else ()
    return [each for each in listed if isinstance(each, str)]


def latex_to_html(text: str) -> str:
    """Return what a `text/latex` output says: formulas drawn, everything else as it is."""
    source = text.strip()
    for opening, closing, block in _DELIMITERS:
        if source.startswith(opening) and source.endswith(closing) and len(source) > len(opening):
            return formula(source[len(opening) : -len(closing)], block)
    if source.startswith("\\begin{"):
        return formula(source, block=True)
    return escape(text, quote=False)


# What TeX and MathJax draw besides, and references within the document.
_ALSO_KNOWN = ("\\label", "\\ref", "\\eqref", "\\intertext")
_DELIMITERS = (
    ("$$", "$$", True),
    ("\\[", "\\]", True),
    ("\\(", "\\)", False),
    ("$", "$", False),
)
