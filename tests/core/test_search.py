"""Search texts as tables, against the text index itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackroad_nb.core.search import (
    MOST_WORDS,
    Known,
    Term,
    folded,
    fts_expression,
    holds,
    search_parts,
    search_terms,
    vocabulary,
    words_of,
)
from blackroad_nb.errors import InvalidInput


def alone(text: str) -> str:
    """Return the expression of a text while the vocabulary is empty."""
    terms = search_terms(text)
    return fts_expression(terms, [Known()] * len(terms))[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("word", '"word"'),
        ("two words", '"two" AND "words"'),
        ('"two words"', '"two words"'),
        ('"two words" third', '"two words" AND "third"'),
        ("pre*", '"pre"'),
        ('"a pre*"', '"a pre"'),
        ("pre* fix", '"pre" AND "fix"'),
        ("my_name.attr", '"my name attr"'),
        ("NOT x OR y", '"NOT" AND "x" AND "OR" AND "y"'),
        ("col:word", '"col word"'),
        ('say "unclosed phrase', '"say" AND "unclosed phrase"'),
        ("a\0b", '"a b"'),
        ("half \ud800 pair", '"half" AND "pair"'),
        ("naïve 日本語", '"naïve" AND "日 本 語"'),
        ("日*", '"日"'),
        ("価格price_list*", '"価 格" AND "price" AND "list"'),
        ("те* 12345*", '"те" * AND "12345" *'),
        ("x😀y", '"x" AND "u1f600" AND "y"'),
        ("x ... y", '"x" AND "y"'),
    ],
)
def test_a_text_becomes_an_expression(text, expected):
    assert alone(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "*", '"', '""', "!?", "->", "{", "ab*", '"long ab*"', " ".join("x" * 51)],
)
def test_a_text_that_finds_nothing_or_everything_is_refused(text):
    with pytest.raises(InvalidInput):
        search_terms(text)


@given(st.text(max_size=60))
def test_no_text_makes_a_malformed_expression(text):
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5 (source, error, scope)")
        try:
            expression = alone(text)
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
            found = connection.execute("SELECT 1 FROM t WHERE t MATCH ?", [alone(word)])
            assert found.fetchone(), ascii((text, word))


@pytest.mark.parametrize(
    ("one", "other"),
    [("Straße", "strasse"), ("naïve", "NAIVE"), ("Ünï", "uni"), ("ёж", "ЁЖ")],
)
def test_case_and_accents_do_not_matter(one, other):
    same = one != "Straße"  # ß is a letter of its own, to the index too
    assert (folded(one) == folded(other)) is same


def test_letters_are_folded_as_the_index_does():
    """Else a word that is known would not be found."""
    blocks = [(0xC0, 0x250), (0x370, 0x520), (0x531, 0x588), (0x1E00, 0x2000)]
    letters = [c for c in map(chr, chain(*(range(*block) for block in blocks))) if c.isalpha()]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5 (source)")
        connection.execute("CREATE VIRTUAL TABLE v USING fts5vocab (t, 'instance')")
        rows = [(ord(letter), f"q{letter}q") for letter in letters]
        connection.executemany("INSERT INTO t (rowid, source) VALUES (?, ?)", rows)
        indexed = dict(connection.execute("SELECT doc, term FROM v"))
    others = [c for c in letters if folded(f"q{c}q") != indexed[ord(c)]]
    assert others == ["\u037f", "\u1e9b"]  # which SQLite leaves large, or bares twice


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import numpy as np", None),
        ("UPPER lower Capital x9 9X", None),
        ("DataFrame größeÄndern", None),
        ("日本語 text", ["日 本 語"]),
        ("価格priceList", ["価 格", "priceList"]),
        ("ok 😀→", ["u1f600", "u2192"]),
        ("", None),
    ],
)
def test_parts_of_words_are_told_apart(text, expected):
    parts = search_parts(text)
    assert (parts and parts.split(" \ue000 ")) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import numpy as np", {"import", "numpy"}),
        ("DataFrame(x1, 12345, v12x)", {"dataframe", "v12x"}),
        ("my_values.Größe naïveté", {"values", "große", "naivete"}),
        ("данный ανάλυση cafe\u0301s", {"данный", "ανάλυση", "cafes"}),
        ("価格priceList 日本語", {"pricelist"}),
        ("a" * 64 + " " + "b" * 65, {"a" * 64}),
        ("x" * 99_996 + " abcdef", set()),
    ],
)
def test_a_vocabulary_holds_the_words_that_have_parts(text, expected):
    assert vocabulary(["", text]) == {folded(word) for word in expected}


def test_long_data_takes_no_time_to_split():
    assert vocabulary(["a" * 1_000_000 + "aB" * 500_000]) == set()
    assert search_parts("a" * 1_000_000 + "é" * 500_000) is None


def terms_and_words(text):
    terms = search_terms(text)
    return terms, [Known(("known",) if term.glob else ()) for term in terms]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("word", '("word" OR "known")'),
        ("pre*", '("pre" OR "known")'),
        ('"a pre*"', '("a pre" OR "a known")'),
        ('"word" 123*', '"word" AND "123" *'),
        ("価格price_list*", '"価 格" AND "price" AND ("list" OR "known")'),
    ],
)
def test_a_part_stands_for_the_words_that_hold_it(text, expected):
    assert fts_expression(*terms_and_words(text)) == (expected, ())


def test_what_too_many_words_hold_is_asked_for_in_other_ways():
    def many(number: int, text: str) -> tuple[str, ...]:
        return tuple(f"{text}{n}" for n in range(number))

    known = [Known(many(150, "a")), Known(many(100, "b")), Known(many(50, "other"))]
    expression, left = fts_expression(search_terms("part begin* other"), known)
    others = " OR ".join(f'"{word}"' for word in ("other", *known[2].words))
    begin = " OR ".join(f'"{word}"' for word in ("begin", *known[1].words))
    assert expression == f"({others}) AND ({begin})"
    assert left == (Term(("part",), part=True),)
    whole = Known(many(MOST_WORDS + 1, "begin"))
    assert fts_expression(search_terms("begin*"), [whole]) == ('"begin" *', ())
    assert fts_expression(search_terms('"x begin*"'), [whole]) == ('"x begin" *', ())
    inside = [Known(whole.words, ("xbegin", "abegins"))]
    found = fts_expression(search_terms("begin"), inside)
    assert found == ('("begin" * OR "xbegin" OR "abegins")', ())
    too_many = [Known(whole.words, many(MOST_WORDS + 1, "xbegin"))]
    assert fts_expression(search_terms("begin"), too_many) == ("", search_terms("begin"))


@pytest.mark.parametrize(
    ("text", "part", "expected"),
    [
        ("aPARTy", "part", True),
        ("p_art", "part", False),
        ("naïvely", "naive", True),
        ("x" * 99_998 + "part", "part", False),
    ],
)
def test_a_row_is_looked_into_as_the_index_would(text, part, expected):
    assert holds(text, None, part) is expected
    assert holds("", text, part) is expected
