"""The colours of tables: rules for single elements, moved from a `<style>` block to these.

A pandas Styler writes one rule `#T_1a2b3_row0_col1 { ... }` for each coloured cell. A
rule with any other selector could reach the rest of the page, and is left out.
"""

from __future__ import annotations

import re
from html import escape

_LONGEST = 1000  # characters of one rule: a page may hold it many times
_BY_ID = re.compile(r"#([A-Za-z][\w-]{0,100})")
# Only in what a sanitiser wrote: there is no other `<` or `>` in tags.
_ELEMENT = re.compile(r'(<(?:table|caption|tr|th|td)\b[^<>]*? id="([^"<>]+)")')


def rules_by_id(html: str) -> dict[str, str]:
    """Return the declarations that the style blocks of some HTML hold for single elements."""
    rules: dict[str, str] = {}
    for block in html.split("<style")[1:]:
        sheet = block.partition("</style")[0].partition(">")[2]
        for rule in sheet.split("}"):
            selectors, _, declarations = rule.partition("{")
            if len(declarations) > _LONGEST:
                continue
            for selector in selectors.split(","):
                if found := _BY_ID.fullmatch(selector.strip()):
                    rules[found[1]] = " ".join(declarations.split())
    return rules


def with_rules(html: str, rules: dict[str, str]) -> str:
    """Set rules on the elements they name; the result must pass a sanitiser once more."""

    left = dict(rules)

    def styled(tag: re.Match[str]) -> str:
        declarations = left.pop(tag[2], None)  # ids are unique, and a rule may be long
        return f'{tag[1]} style="{escape(declarations)}"' if declarations else tag[1]

    return _ELEMENT.sub(styled, html)
