"""Outputs: streams as a terminal leaves them, final form, and short forms."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackroad_nb.core.outputs import (
    StreamText,
    brief,
    error_text,
    plain,
    settled,
    stream_beginning,
)

# A text cut inside an escaped pair ends in its first half.
HALVES = [chr(code) for code in range(0xD800, 0xDC00)]


def put_together(*pieces: str) -> str:
    stream = StreamText()
    for piece in pieces:
        stream.add(piece)
    text = "".join(stream.parts)
    assert stream.size == len(text)
    return text


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["a\n", "b"], "a\nb"),
        (["10%\r", "20%\r", "30%"], "30%"),
        (["10%\r20%\r\n", "done\n"], "20%\r\ndone\n"),
        (["a\r"], "a\r"),
        (["a\r", "\n"], "a\r\n"),
        (["a\r\r", "b"], "b"),
        (["first\nsec\rthird"], "first\nthird"),
        (["ab\bc"], "ac"),
        (["ab", "\b", "c"], "ac"),
        (["a\n", "\bx"], "a\nx"),
        (["abc\b\b\b\b\bx"], "x"),
        (["abc", "\b\bX"], "aX"),
        ([""], ""),
    ],
)
def test_a_terminal_would_show(pieces: list[str], text: str) -> None:
    assert put_together(*pieces) == text


@given(st.lists(st.text(alphabet="ab\n\b", max_size=12), max_size=8))
def test_backspaces_take_back_one_character_each(pieces: list[str]) -> None:
    shown: list[str] = []
    for character in "".join(pieces):
        if character != "\b":
            shown.append(character)
        elif shown and shown[-1] != "\n":
            shown.pop()
    assert put_together(*pieces) == "".join(shown)


LONG = "x" * 4_000_000


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([LONG + "\r\n" + LONG], LONG + "\r\n" + LONG),
        ([LONG, "\r", "done"], "done"),
        ([f"{LONG}\r{LONG}\r1%\r2%"], "2%"),
        ([LONG + "\b" * 3_000_000], LONG[:1_000_000]),
        ([LONG, *["\b\ba"] * 100_000], LONG[:-100_001] + "a"),
    ],
)
def test_a_long_line_takes_no_longer_than_many_short_ones(pieces: list[str], text: str) -> None:
    """Work that grows with the square of a line's length would take hours for these."""
    assert put_together(*pieces) == text


@given(st.lists(st.text(alphabet="ab\r\n\b", max_size=12), max_size=8))
def test_where_the_pieces_are_cut_does_not_matter(pieces: list[str]) -> None:
    assert put_together(*pieces) == put_together("".join(pieces))


@given(st.lists(st.text(alphabet="ab\r\n", max_size=12), max_size=8))
def test_carriage_returns_are_nbclients(pieces: list[str]) -> None:
    """The expression nbclient applies to a finished cell's streams."""
    assert put_together(*pieces) == re.sub(r".*\r(?=[^\n])", "", "".join(pieces))


@pytest.mark.parametrize("piece", ["x", "x\n", "x\r", "xx\b"])
def test_many_pieces_take_linear_time_and_few_strings(piece: str) -> None:
    def seconds(count: int) -> float:
        stream = StreamText()
        begun = time.perf_counter()
        for _ in range(count):
            stream.add(piece)
        assert len(stream.parts) < 3000
        return time.perf_counter() - begun

    small = min(seconds(10_000) for _ in range(3))
    large = min(seconds(80_000) for _ in range(3))
    assert large < small * 8 * 4


@given(st.text(), st.integers(0, 60))
def test_the_beginning_of_a_long_text_is_read_without_the_rest(text: str, room: int) -> None:
    for escaped in (True, False):
        content = json.dumps({"name": "stdout", "text": text}, ensure_ascii=escaped)
        found = stream_beginning(content.encode("utf-8", "surrogatepass"), room)
        if found is not None and not found["text"].endswith(tuple(HALVES)):
            assert found["name"] == "stdout"
            assert text.startswith(found["text"])


@pytest.mark.parametrize(
    ("content", "room", "text"),
    [
        (b'{"name": "stdout", "text": "abcdef"}', 3, "abc"),
        (b'{"name":"stderr","text":"a\\nbcdef"}', 2, "a"),
        (b'{"name":"stderr","text":"a\\nbcdef"}', 3, "a\n"),
        (b'{"name":"stderr","text":"a\\u00e9bcdef"}', 5, "a"),
        (b'{"name":"stderr","text":"a\\\\ndef ghi"}', 3, "a\\"),
        (b'{"name":"stderr","text":"a\\"bcdef"}', 4, 'a"b'),
        ('{"name":"stderr","text":"a\u00e9bcdef"}'.encode(), 2, "a"),
    ],
)
def test_a_text_is_cut_between_characters(content: bytes, room: int, text: str) -> None:
    found = stream_beginning(content, room)
    assert found is not None
    assert found["text"] == text


@pytest.mark.parametrize("content", [b'{"text": "abc", "name": "stdout"}', b"[]", b"", b"{"])
def test_a_message_of_another_form_is_not_guessed_at(content: bytes) -> None:
    assert stream_beginning(content, 2) is None


def stream(name: str, text: str | list[str]) -> dict[str, object]:
    return {"output_type": "stream", "name": name, "text": text}


def test_settled_joins_texts_and_keeps_the_order() -> None:
    image = {"output_type": "display_data", "data": {}, "metadata": {}}
    assert settled([stream("stderr", ["a", "b"]), stream("stdout", ["c"]), image]) == [
        stream("stderr", "ab"),
        stream("stdout", "c"),
        image,
    ]


def test_errors_lose_their_colours() -> None:
    assert error_text("E", "v", ["\x1b[31mred\x1b[39m", "\x1b]8;;http://x\x07link"]) == (
        "E: v\nred\nlink"
    )
    assert error_text("KeyboardInterrupt", "") == "KeyboardInterrupt"
    assert error_text("", "1") == "1"
    assert plain("a\x1b[1;31mb") == "ab"


@pytest.mark.parametrize(
    ("text", "short", "cut"),
    [("abc", "abc", False), ("abcdefgh", "efgh", True), (["ab", "cd", "ef"], "cdef", True)],
)
def test_brief_streams_keep_their_end(text: str | list[str], short: str, cut: bool) -> None:
    found = brief(stream("stdout", text), 4)
    assert found["text"] == short
    assert found.get("truncated", False) is cut


def test_brief_displays_keep_short_text_and_say_what_is_left_out() -> None:
    data = {"text/plain": "<Figure>", "image/png": "A" * 9, "text/html": "B" * 99, "x": {"a": 1}}
    assert brief({"output_type": "display_data", "data": data, "metadata": {}}, 20) == {
        "output_type": "display_data",
        "data": {"text/plain": "<Figure>"},
        "metadata": {},
        "truncated": True,
        "left_out": ["image/png", "text/html", "x"],
    }


def test_brief_errors_are_cut_by_the_line() -> None:
    error = {"output_type": "error", "ename": "E", "evalue": "v" * 9, "traceback": ["t" * 9] * 200}
    found = brief(error, 4)
    assert found["evalue"] == "vvvv"
    assert len(found["traceback"]) == 100
    assert found["truncated"]
