"""Formulas as MathML, which browsers draw without a script and without the network."""

from __future__ import annotations

from html import escape

from latex2mathml.converter import convert

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
    try:
        return convert(source, display="block" if block else "inline")
    except Exception:  # the converter has no common error: what it cannot read stays as written
        return written


def latex_to_html(text: str) -> str:
    """Return what a `text/latex` output says: formulas drawn, everything else as it is."""
    source = text.strip()
    for opening, closing, block in _DELIMITERS:
        if source.startswith(opening) and source.endswith(closing) and len(source) > len(opening):
            return formula(source[len(opening) : -len(closing)], block)
    if source.startswith("\\begin{"):
        return formula(source, block=True)
    return escape(text, quote=False)


_DELIMITERS = (
    ("$$", "$$", True),
    ("\\[", "\\]", True),
    ("\\(", "\\)", False),
    ("$", "$", False),
)
