"""What a stranger's notebook may say to TeX, and what TeX says back.

TeX is a programming language whose programs read and write files, and its own locks
(`openin_any`, no shell) leave doors: a picture is read from wherever its name points to, and
`\\special{pdf:fstream ...}` puts any file into the PDF. So TeX gets a stranger's words only as
text that pandoc has escaped, and as formulas made of nothing but known commands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import unquote

Node = dict[str, Any]
IsFormula = Callable[[str], bool]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Environments that are displays by themselves; the others stand within one.
DISPLAYS = _words("align alignat displaymath eqnarray equation flalign gather math multline")
ENVIRONMENTS = DISPLAYS | _words(
    "aligned alignedat array Bmatrix bmatrix cases dcases gathered matrix pmatrix rcases "
    "smallmatrix split subarray Vmatrix vmatrix"
)
# Formula readers know these, but they define, leave the formula, or are read in another way.
NOT_IN_FORMULAS = _words(
    "DeclareMathOperator class def href newcommand newenvironment renewcommand style verb"
)

_LONGEST = 20_000  # characters; a formula beyond this is no formula
_CONTROL = re.compile(r"\\(?:([A-Za-z@]+)|.)", re.DOTALL)
_BOUNDARY = re.compile(r"\\(?:begin|end)\s*\{([A-Za-z]+)\*?\}")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ENCLOSED = re.compile(r"\\begin\{([A-Za-z]+)(\*?)\}.*\\end\{\1\2\}\Z", re.DOTALL)
_REFERENCE = re.compile(r"\\(?:eq)?ref\{[\w:.-]{1,100}\}\Z")
_BLANK_LINES = re.compile(r"\n\s*\n")
_DELIMITERS = (("$$", "$$", True), ("\\[", "\\]", True), ("\\(", "\\)", False), ("$", "$", False))
_LINK = re.compile(r"(https?://|mailto:|#)", re.IGNORECASE)
_PICTURE = re.compile(r"[\w ./-]+\.(png|jpe?g|pdf)\Z", re.IGNORECASE)
_CLASS = re.compile(r"[A-Za-z0-9+#_-]{1,40}\Z")
_IDENTIFIER = re.compile(r"[\w-]{1,200}\Z")
_LENGTH = re.compile(r"\d{1,5}(\.\d{1,5})?(px|%|cm|mm|in|em|pt)?\Z")
_NO_ATTRIBUTES: list[Any] = ["", [], []]


def is_formula(tex: str, known: Collection[str]) -> bool:
    """Tell whether TeX meets nothing but known commands and environments of formulas.

    Args:
        known: names of commands without their backslash.
    """
    # ^^5c is a backslash. Source: The TeXbook, chapter 8.
    if len(tex) > _LONGEST or "^^" in tex or _UNPRINTABLE.search(tex):
        return False
    words = [word for word in _CONTROL.findall(tex) if word]
    environments = _BOUNDARY.findall(tex)
    return (
        sum(word in ("begin", "end") for word in words) == len(environments)
        and ENVIRONMENTS.issuperset(environments)
        and all(word in known and word not in NOT_IN_FORMULAS for word in words)
    )


def display(tex: str, block: bool) -> str:
    """Return a formula as LaTeX wants it: MathJax takes displays within displays, TeX does not."""
    body = _BLANK_LINES.sub("\n", tex.strip())
    enclosed = _ENCLOSED.match(body)
    if enclosed and enclosed[1] in DISPLAYS:
        return body
    return f"\\[{body}\\]" if block else f"\\({body}\\)"


def formula_output(text: str, is_formula: IsFormula) -> str | None:
    """Return what a `text/latex` output says when it is one formula, else None."""
    source = text.strip()
    for opening, closing, block in _DELIMITERS:
        if source.startswith(opening) and source.endswith(closing) and len(source) > len(opening):
            inner = source[len(opening) : -len(closing)]
            return display(inner, block) if inner.strip() and is_formula(inner) else None
    if _ENCLOSED.match(source) and is_formula(source):
        return display(source, block=True)
    return None


def still_tree(tree: Node, pictures: Collection[str], is_formula: IsFormula | None) -> Node:
    """Return a pandoc document that is safe to be written as LaTeX.

    Pictures other than the notebook's own become their description: they would be read
    from this machine's disk. Links lead to the web or within the document.

    Args:
        tree: pandoc's JSON; the old one is not changed.
        pictures: paths of the files that go with the document.
        is_formula: tells which TeX may stay; None for all of it, raw TeX too.
    """
    return {**tree, "meta": {}, "blocks": _Stiller(pictures, is_formula).walk(tree["blocks"])}


def with_formulas(node: Any) -> Any:
    """Return a pandoc document in which TeX between the lines is a formula, or its source.

    Formats other than LaTeX lose it otherwise, or name it in ways that readers don't know.
    """
    if isinstance(node, list):
        return [with_formulas(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("t") in ("RawInline", "RawBlock") and node["c"][0] in ("tex", "latex"):
        return _shown(node["c"][1].strip(), node["t"] == "RawBlock")
    return {key: with_formulas(value) for key, value in node.items()}


def _shown(tex: str, block: bool) -> Node:
    enclosed = _ENCLOSED.match(tex)
    if not enclosed or enclosed[1] not in ENVIRONMENTS:
        return {"t": "CodeBlock", "c": [_NO_ATTRIBUTES, tex]} if block else _code(tex)
    math = {"t": "Math", "c": [{"t": "DisplayMath"}, _BLANK_LINES.sub("\n", tex)]}
    return {"t": "Para", "c": [math]} if block else math


class _Stiller:
    def __init__(self, pictures: Collection[str], is_formula: IsFormula | None) -> None:
        self._pictures = pictures
        self._is_formula = is_formula
        self._changed: dict[str, Callable[[Any], Node]] = {
            "Math": self._math,
            "RawInline": lambda content: self._raw(content, "Inline"),
            "RawBlock": lambda content: self._raw(content, "Block"),
            "Image": self._image,
            "Link": self._link,
            "Cite": lambda content: _span(self.walk(content[1])),
        }

    def walk(self, node: Any) -> Any:
        if isinstance(node, list):
            if _is_attributes(node):
                return _attributes(node)
            return [self.walk(each) for each in node]
        if not isinstance(node, dict):
            return node
        change = self._changed.get(node.get("t", ""))
        if change is not None:
            return change(node["c"])
        return {key: self.walk(value) for key, value in node.items()}

    def _may_stay(self, tex: str) -> bool:
        return self._is_formula is None or self._is_formula(tex)

    def _math(self, content: Any) -> Node:
        kind, tex = content
        if not tex.strip() or not self._may_stay(tex):
            return _code(tex)
        return {"t": "RawInline", "c": ["latex", display(tex, kind["t"] == "DisplayMath")]}

    def _raw(self, content: Any, level: str) -> Node:
        language, text = content
        if language not in ("tex", "latex"):
            return {"t": f"Raw{level}", "c": content}  # LaTeX's writer leaves it out
        source = text.strip()
        enclosed = _ENCLOSED.match(source)
        if enclosed and enclosed[1] in ENVIRONMENTS and self._may_stay(source):
            return {"t": f"Raw{level}", "c": ["latex", display(source, block=True)]}
        if self._is_formula is None or _REFERENCE.match(source):
            return {"t": f"Raw{level}", "c": content}
        if level == "Inline":
            return _code(text)
        return {"t": "CodeBlock", "c": [_NO_ATTRIBUTES, text]}

    def _image(self, content: Any) -> Node:
        attributes, words, (target, title) = content
        path = unquote(target)
        if path in self._pictures and _PICTURE.match(path):
            # Without the title, which would make it a figure that floats elsewhere.
            return {"t": "Image", "c": [_attributes(attributes), self.walk(words), [target, ""]]}
        shown = self.walk(words) or [{"t": "Str", "c": title or path.rsplit("/", 1)[-1][:80]}]
        return _span([{"t": "Str", "c": "[Image:"}, {"t": "Space"}, *shown, {"t": "Str", "c": "]"}])

    def _link(self, content: Any) -> Node:
        attributes, words, (target, title) = content
        shown = self.walk(words)
        if not _LINK.match(target):
            return _span(shown)
        if target.startswith("#"):  # headings have lower-case identifiers here
            target = "#" + re.sub(r"[^\w-]+", "", unquote(target).lower())
        return {"t": "Link", "c": [_attributes(attributes), shown, [target, title]]}


def _code(text: str) -> Node:
    return {"t": "Code", "c": [_NO_ATTRIBUTES, text]}


def _span(inlines: list[Any]) -> Node:
    return {"t": "Span", "c": [_NO_ATTRIBUTES, inlines]}


def _is_attributes(node: list[Any]) -> bool:
    return (
        len(node) == 3
        and isinstance(node[0], str)
        and isinstance(node[1], list)
        and all(isinstance(word, str) for word in node[1])
        and isinstance(node[2], list)
        and all(isinstance(pair, list) for pair in node[2])
    )


def _attributes(node: list[Any]) -> list[Any]:
    identifier, classes, pairs = node
    return [
        identifier if _IDENTIFIER.match(identifier) else "",
        [word for word in classes if _CLASS.match(word)],
        [
            pair
            for pair in pairs
            if len(pair) == 2 and pair[0] in ("width", "height") and _LENGTH.match(pair[1])
        ],
    ]
