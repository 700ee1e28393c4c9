"""Which rules of a style block are moved to the elements they name."""

from __future__ import annotations

import pytest

from blackroad_nb.core.table_colours import rules_by_id, with_rules


@pytest.mark.parametrize(
    ("sheet", "rules"),
    [
        ("#a { color: red }", {"a": "color: red"}),
        ("#a,\n #b-1_c {\n  color: red;\n}", {"a": "color: red;", "b-1_c": "color: red;"}),
        ("#a { color: red } #a { color: blue }", {"a": "color: blue"}),
        ("#a td { color: red }", {}),
        ("#a:hover { color: red } td { color: red } .x { color: red }", {}),
        ("@media print { #a { color: red } }", {}),
        ("#a", {"a": ""}),
        (f"#a {{ {'x' * 1001} }}", {}),
        ("", {}),
    ],
)
def test_rules_for_single_elements(sheet: str, rules: dict[str, str]) -> None:
    assert rules_by_id(f'<b>x</b><style type="text/css">{sheet}</style><b>y</b>') == rules


def test_a_block_that_is_never_closed_counts_to_the_end() -> None:
    assert rules_by_id("<style>#a {color: red}<p>") == {"a": "color: red"}


@pytest.mark.parametrize(
    ("html", "styled"),
    [
        ('<td id="a">x</td>', '<td id="a" style="color: &quot;red&quot;">x</td>'),
        ('<th class="c" id="a">', '<th class="c" id="a" style="color: &quot;red&quot;">'),
        ('<td id="b">x</td>', '<td id="b">x</td>'),
        ('<td id="a"><td id="a">', '<td id="a" style="color: &quot;red&quot;"><td id="a">'),
        ('<p id="a">x</p>', '<p id="a">x</p>'),
        ('<td title="&lt;td id=&quot;a&quot;&gt;">', '<td title="&lt;td id=&quot;a&quot;&gt;">'),
        ('&lt;td id="a"&gt;', '&lt;td id="a"&gt;'),
    ],
)
def test_what_rules_are_set_on(html: str, styled: str) -> None:
    assert with_rules(html, {"a": 'color: "red"'}) == styled
