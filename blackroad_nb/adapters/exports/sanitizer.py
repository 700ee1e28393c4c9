"""The allowlist of `core.export` applied to HTML by a real HTML5 parser (nh3, ammonia)."""

from __future__ import annotations

import re
from functools import cache

import nh3

from blackroad_nb.core.export import (
    ATTRIBUTES,
    DROPPED_WITH_CONTENT,
    FORCED_ATTRIBUTES,
    LINK_REL,
    STYLES,
    TAGS,
    URL_SCHEMES,
    checked_attribute,
)

NO_DESCRIPTION = "No description has been provided for this image"

_IMAGE_WITHOUT_TEXT = re.compile(r"<img (?![^>]*\balt=)")


@cache
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(TAGS),
        clean_content_tags=set(DROPPED_WITH_CONTENT),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        attribute_filter=checked_attribute,
        strip_comments=True,
        link_rel=LINK_REL,
        set_tag_attribute_values={tag: dict(forced) for tag, forced in FORCED_ATTRIBUTES.items()},
        url_schemes=set(URL_SCHEMES),
        filter_style_properties=set(STYLES),
    )


def clean_html(html: object) -> str:
    """Return HTML that runs nothing and fetches nothing, with all its tags closed."""
    text = html.decode("utf-8", "replace") if isinstance(html, bytes) else str(html)
    return _cleaner().clean(text)


def describe_images(html: str) -> str:
    """Give images without a text a standard one, for those who cannot see them."""
    return _IMAGE_WITHOUT_TEXT.sub(f'<img alt="{NO_DESCRIPTION}" ', html)
