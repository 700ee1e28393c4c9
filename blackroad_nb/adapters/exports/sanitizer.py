"""The allowlist of `core.export` applied to HTML by a real HTML5 parser (nh3, ammonia)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import nh3

from blackroad_nb.adapters.exports.pictures import Pictures
from blackroad_nb.core.export import (
    ATTRIBUTES,
    DROPPED_WITH_CONTENT,
    FORCED_ATTRIBUTES,
    LEFT_OUT,
    LINK_REL,
    STYLES,
    TAGS,
    URL_SCHEMES,
    checked_attribute,
)
from blackroad_nb.core.table_colours import rules_by_id, with_rules

NO_DESCRIPTION = "No description has been provided for this image"

_IMAGE_WITHOUT_TEXT = re.compile(r"<img (?![^>]*\balt=)")
_IMAGE_LEFT_OUT = re.compile(rf'<img\b[^<>]*? src="({re.escape(LEFT_OUT)}[^"<>]*)"[^<>]*>')


class Sanitizer:
    """Cleans the pieces of one notebook.

    Args:
        folder: where pictures may lie that the notebook names; None for nowhere.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._pictures = Pictures(folder)
        self._cleaner = _cleaner_with(self._checked)

    def clean(self, html: object) -> str:
        """Return HTML that runs and fetches nothing; it says which pictures are left out."""
        cleaned = self._cleaner.clean(_text(html))
        return _IMAGE_LEFT_OUT.sub(r"<em>\1</em>", cleaned)

    def clean_output(self, html: object) -> str:
        """Do the same, and keep the colours of tables that a style block holds."""
        cleaned = self.clean(html)
        rules = rules_by_id(_text(html))
        return clean_html(with_rules(cleaned, rules)) if rules else cleaned

    def _checked(self, tag: str, attribute: str, value: str) -> str | None:
        if tag == "img" and attribute == "src" and value:
            return self._pictures.source(value)
        return checked_attribute(tag, attribute, value)


def clean_html(html: object) -> str:
    """Return HTML that runs nothing and fetches nothing, with all its tags closed."""
    return _cleaner().clean(_text(html))


def describe_images(html: str) -> str:
    """Give images without a text a standard one, for those who cannot see them."""
    return _IMAGE_WITHOUT_TEXT.sub(f'<img alt="{NO_DESCRIPTION}" ', html)


@cache
def _cleaner() -> nh3.Cleaner:
    return _cleaner_with(checked_attribute)


def _cleaner_with(check: Callable[[str, str, str], str | None]) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(TAGS),
        clean_content_tags=set(DROPPED_WITH_CONTENT),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        attribute_filter=check,
        strip_comments=True,
        link_rel=LINK_REL,
        set_tag_attribute_values={tag: dict(forced) for tag, forced in FORCED_ATTRIBUTES.items()},
        url_schemes=set(URL_SCHEMES),
        filter_style_properties=set(STYLES),
    )


def _text(html: object) -> str:
    return html.decode("utf-8", "replace") if isinstance(html, bytes) else str(html)
