"""Search texts as tables, against the text index itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackroad_nb.core.search import folded, fts_expression, search_parts, words_of
from blackroad_nb.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("word", '"word"'),
        ("two words", '"two" AND "words"'),
        ('"two words"', '"two words"'),
        ('"two words" third', '"two words" AND "third"'),
        ("pre*", '"pre" *'),
        ('"a pre*"', '"a pre" *'),
        ("pre* fix", '"pre" * AND "fix"'),
        ("my_name.attr", '"my name attr"'),
        ("NOT x OR y", '"NOT" AND "x" AND "OR" AND "y"'),
        ("col:word", '"col word"'),
        ('say "unclosed phrase', '"say" AND "unclosed phrase"'),
        ("a\0b", '"a b"'),
        ("half \ud800 pair", '"half" AND "pair"'),
        ("naïve 日本語", '"naïve" AND "日 本 語"'),
        ("日*", '"日"'),
        ("価格price_list*", '"価 格" AND "price" AND "list" *'),
        ("x😀y", '"x" AND "u1f600" AND "y"'),
        ("x ... y", '"x" AND "y"'),
    ],
)
def test_a_text_becomes_an_expression(text, expected):
    assert fts_expression(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "*", '"', '""', "!?", "->", "{", "ab*", '"long ab*"', " ".join("x" * 51)],
)
def test_a_text_that_finds_nothing_or_everything_is_refused(text):
    with pytest.raises(InvalidInput):
        fts_expression(text)


@given(st.text(max_size=60))
def test_no_text_makes_a_malformed_expression(text):
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5 (source, error, scope)")
        try:
            expression = fts_expression(text)
        except InvalidInput:
            return
        match = f"{{source error}} : ({expression}) AND scope : u61"
        assert connection.execute("SELECT * FROM t WHERE t MATCH ?", [match]).fetchall() == []


# What SQLite and Python both know: the index goes by an older Unicode.
KNOWN = st.characters(max_codepoint=0x4FF, exclude_categories=["Cn"], exclude_characters="\u037f")


@given(st.text(KNOWN, max_size=40))
def test_each_word_of_a_text_is_found_in_it(text):
    words = list(words_of(text))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5 (source)")
        connection.execute("INSERT INTO t VALUES (?)", [text])
        for word in words[:50]:
            found = connection.execute("SELECT 1 FROM t WHERE t MATCH ?", [fts_expression(word)])
            assert found.fetchone(), ascii((text, word))


@pytest.mark.parametrize(
    ("one", "other"),
    [("Straße", "strasse"), ("naïve", "NAIVE"), ("Ünï", "uni"), ("ёж", "ЁЖ")],
)
def test_case_and_accents_do_not_matter(one, other):
    same = one != "Straße"  # ß is a letter of its own, to the index too
    assert (folded(one) == folded(other)) is same


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import numpy as np", None),
        ("UPPER lower Capital x9 9X", None),
        ("DataFrame fooBar", ["Data", "Frame", "foo", "Bar"]),
        ("DataFrame(DataFrame)", ["Data", "Frame"]),
        ("XMLHttpRequest utf8Text", ["XML", "Http", "Request", "utf8", "Text"]),
        ("größeÄndern", ["größe", "Ändern"]),
        ("日本語 text", ["日 本 語"]),
        ("価格priceList", ["価 格", "price", "List", "priceList"]),
        ("ok 😀→", ["u1f600", "u2192"]),
        ("aB" * 40, None),
        ("", None),
    ],
)
def test_parts_of_words_are_told_apart(text, expected):
    parts = search_parts(text)
    assert (parts and parts.split(" \ue000 ")) == expected


def test_long_data_takes_no_time_to_split():
    assert search_parts("a" * 1_000_000 + "aB" * 500_000) is None
