"""Search texts, cursors and queries, as tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackroad_nb.core.history import (
    HistoryQuery,
    check_query,
    folded,
    fts_expression,
    place_after,
    read_place,
    words_of,
)
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
        ("naïve 日本語", '"naïve" AND "日本語"'),
        ("日*", '"日" *'),
        ("x ... y", '"x" AND "y"'),
    ],
)
def test_a_text_becomes_an_expression(text, expected):
    assert fts_expression(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "*", '"', '""', "!?", "ab*", '"long ab*"', " ".join("x" * 51), "\N{PILE OF POO}"],
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


@given(st.datetimes(timezones=st.just(UTC)), st.text(max_size=20))
def test_a_cursor_leads_back_to_its_place(moment, name):
    assert read_place(place_after(moment, name)) == (moment, name)


@pytest.mark.parametrize(
    "cursor", ["", ".", "x.y", "1", "1,a", "9" * 20 + ".a", "\N{FULLWIDTH DIGIT ONE}.a", "1e5.a"]
)
def test_a_cursor_that_no_page_gave_is_refused(cursor):
    with pytest.raises(InvalidInput):
        read_place(cursor)


def test_a_good_query_passes_as_it_is():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    query = HistoryQuery(text="x", since=now, until=now - timedelta(days=1), cursor=0, limit=1000)
    assert check_query(query) is query
