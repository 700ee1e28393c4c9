"""Drawings from strangers, rebuilt from the elements that only draw.

A page shows them as images, where browsers run nothing; but an exported folder also
holds them as files, and a file that is opened by itself would run its scripts.
Source: https://www.w3.org/TR/SVG2/conform.html#secure-static-mode
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, register_namespace, tostring

from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_ELEMENT_NAMES = (
    "svg g defs symbol use title desc path rect circle ellipse line polyline polygon text tspan "
    "textPath clipPath mask marker pattern linearGradient radialGradient stop image style filter "
    "feBlend feColorMatrix feComponentTransfer feComposite feConvolveMatrix feDiffuseLighting "
    "feDisplacementMap feDistantLight feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR "
    "feGaussianBlur feMerge feMergeNode feMorphology feOffset fePointLight feSpecularLighting "
    "feSpotLight feTile feTurbulence"
)
_ELEMENTS = frozenset(_ELEMENT_NAMES.split())
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9:_-]*\Z")
_WITHIN = re.compile(r"#[^\s\"'<>]*\Z")
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*\Z")
_FAR_URL = re.compile(r"url\(\s*(?![\"']?#)", re.IGNORECASE)

register_namespace("", _SVG)
register_namespace("xlink", _XLINK)


def clean_svg(text: str) -> str | None:
    """Return the drawing without anything that runs or fetches, or None if it is no drawing."""
    try:
        root = fromstring(text.encode("utf-8"), forbid_dtd=False, forbid_external=True)
    except Exception:  # the parser's errors are of many kinds, and all mean: not a drawing
        return None
    if _local(root) != "svg":
        return None
    cleaned = _rebuilt(root)
    try:
        return None if cleaned is None else tostring(cleaned, encoding="unicode")
    except RecursionError:  # nested deeper than any drawing
        return None


def _rebuilt(element: Element) -> Element | None:
    """Copy an element and what is in it; iterative, for a drawing may nest without end."""
    top = _copy(element)
    if top is None:
        return None
    waiting = [(element, top)]
    while waiting:
        source, target = waiting.pop()
        for child in source:
            copy = _copy(child)
            if copy is not None:
                target.append(copy)
                waiting.append((child, copy))
    return top


def _copy(element: Element) -> Element | None:
    name = _local(element)
    if name not in _ELEMENTS:
        return None
    if name == "style" and not _still(element.text or ""):
        return None
    copy = Element(f"{{{_SVG}}}{name}")
    for key, value in element.attrib.items():
        kept = _attribute(name, key, value)
        if kept is not None:
            copy.set(kept, value)
    copy.text, copy.tail = element.text, element.tail
    return copy


def _attribute(element: str, key: str, value: str) -> str | None:
    """Return the attribute's name when it may stay."""
    namespace, name = key[1:].split("}", 1) if key.startswith("{") else ("", key)
    if name == "href" and namespace in ("", _XLINK):
        allowed = _WITHIN.match(value) or (element == "image" and _PICTURE.match(value))
        return key if allowed else None
    if namespace or not _NAME.match(name) or name.lower().startswith("on") or name == "src":
        return None
    return key if _still(value) else None


def _still(css: str) -> bool:
    """Tell whether a style or attribute fetches nothing and hides nothing behind escapes."""
    lowered = css.lower()
    return not (
        _FAR_URL.search(css)
        or "\\" in css
        or "@import" in lowered
        or "javascript:" in lowered
        or "expression(" in lowered
        or "image(" in lowered
        or "image-set(" in lowered
    )


def _local(element: Element) -> str:
    tag = element.tag
    if not isinstance(tag, str):  # a comment or processing instruction
        return ""
    if tag.startswith("{"):
        namespace, name = tag[1:].split("}", 1)
        return name if namespace == _SVG else ""
    return tag
