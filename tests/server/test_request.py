"""What a client may send, and the sentence it gets for what it may not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from blackroad_nb.errors import BlackRoadError, InvalidInput
from blackroad_nb.server.operation import Parameter
from blackroad_nb.server.request import BODY_LIMIT, parse_body, parse_query
from blackroad_nb.server.schemas import FLAG, MOMENT, NEW_KERNEL, NEW_NOTEBOOK, NEW_RUN

COUNT = Parameter("limit", {"type": "integer", "minimum": 1, "maximum": 10}, "how many.")
SINCE = Parameter("since", MOMENT, "from then on.")
BEFORE = Parameter("before", MOMENT, "what is older.", required=True)
WHOLE = Parameter("whole", FLAG, "all of it.")
WORDS = Parameter("q", {"type": "string", "minLength": 1, "maxLength": 5}, "words.")

REFUSED_BODIES = [
    (NEW_NOTEBOOK, b"", "The body is not JSON"),
    (NEW_NOTEBOOK, b"{", "The body is not JSON"),
    (NEW_NOTEBOOK, b"\xff{}", "The body is not JSON"),
    (NEW_NOTEBOOK, b"[]", "The body must be an object."),
    (NEW_NOTEBOOK, b"null", "The body must be an object."),
    (NEW_NOTEBOOK, b'{"name": "a"}', "The body lacks path."),
    (NEW_NOTEBOOK, b'{"name": 1, "path": "a.ipynb"}', "name must be text."),
    (NEW_NOTEBOOK, b'{"name": " ", "path": "a.ipynb"}', "name must hold a visible character."),
    (NEW_NOTEBOOK, b'{"name": "", "path": "a.ipynb"}', "name must not be empty."),
    (NEW_NOTEBOOK, b'{"name": "a", "path": "a.txt"}', "path must be a path that ends in .ipynb."),
    (
        NEW_NOTEBOOK,
        b'{"name": "a", "path": "a.ipynb", "kernal": "x"}',
        "The body holds the unknown field 'kernal'; known are: name, path, kernel",
    ),
    (
        NEW_NOTEBOOK,
        b'{"name": "a", "path": "a.ipynb", "adopt": 1}',
        "adopt must be true or false.",
    ),
    (
        NEW_NOTEBOOK,
        b'{"name": "\\ud800", "path": "a.ipynb"}',
        "The body escapes half a surrogate pair",
    ),
    (NEW_RUN, b"{}", "The body needs exactly one of notebook_id and path."),
    (
        NEW_RUN,
        b'{"notebook_id": "a", "path": "a.ipynb"}',
        "The body needs exactly one of notebook_id and path.",
    ),
    (NEW_RUN, b'{"notebook_id": "a", "cell": -1}', "cell must be at least 0, not -1."),
    (NEW_RUN, b'{"notebook_id": "a", "cell": 1.5}', "cell must be a whole number."),
    (NEW_RUN, b'{"notebook_id": "a", "cell": true}', "cell must be a whole number."),
    (NEW_RUN, b'{"notebook_id": "a", "timeout_seconds": NaN}', "the number NaN is not finite"),
    (NEW_RUN, b'{"notebook_id": "a", "timeout_seconds": 1e999}', "1e999 is not finite"),
    (NEW_RUN, b'{"notebook_id": "a", "parameters": []}', "parameters must be an object."),
    (NEW_RUN, b'{"notebook_id": ' + b"[" * 100_000, "The body is nested too deeply"),
    (NEW_RUN, b'{"parameters": {"a": ' + b"[" * 65 + b"]" * 65 + b"}}", "nested too deeply"),
    (NEW_RUN, b'{"notebook_id": ' + b"1" * 5000 + b"}", "The body is not JSON"),
    (
        NEW_KERNEL,
        b'{"name": "a", "language": "b", "display_name": "c", "argv": ["x", 1]}',
        "argv.1 must be text.",
    ),
    (
        NEW_KERNEL,
        b'{"name": "a", "language": "b", "display_name": "c", "argv": []}',
        "argv must not be empty.",
    ),
]


@pytest.mark.parametrize(("schema", "raw", "sentence"), REFUSED_BODIES)
def test_a_body_that_is_wrong_is_refused_by_name(
    schema: dict[str, Any], raw: bytes, sentence: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_body(raw, "application/json", schema)
    assert sentence in refused.value.message
    assert not refused.value.message.endswith("..")
    assert refused.value.status == 400


@pytest.mark.parametrize("media_type", [None, "", "text/plain", "application/jsonp"])
def test_a_body_must_be_declared_as_json(media_type: str | None) -> None:
    with pytest.raises(BlackRoadError) as refused:
        parse_body(b"{}", media_type, NEW_RUN)
    assert refused.value.status == 415


def test_a_body_has_a_bound() -> None:
    with pytest.raises(BlackRoadError) as refused:
        parse_body(b" " * (BODY_LIMIT + 1), "application/json", NEW_RUN)
    assert refused.value.status == 413


def test_a_body_that_is_right_comes_back_as_it_is() -> None:
    raw = '{"notebook_id": "a", "cell": 3, "parameters": {"x": 1.0, "y": "ü"}}'.encode()
    assert parse_body(raw, "application/json; charset=utf-8", NEW_RUN) == {
        "notebook_id": "a",
        "cell": 3,
        "parameters": {"x": 1.0, "y": "ü"},
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"limt": [b"1"]}, "There is no parameter 'limt' here; known are: limit, since"),
        ({"limit": [b"1", b"2"]}, "limit is given more than once"),
        ({"limit": [b"x"]}, "limit must be a whole number, not 'x'."),
        ({"limit": [b""]}, "limit must be a whole number"),
        ({"limit": [b"1_0"]}, "limit must be a whole number"),
        ({"limit": ["٣".encode()]}, "limit must be a whole number"),
        ({"limit": [b"0"]}, "limit must be at least 1, not 0."),
        ({"limit": [b"11"]}, "limit must be at most 10, not 11."),
        ({"limit": [b"9" * 400]}, "limit must be a whole number"),
        ({"since": [b"yesterday"]}, "'yesterday' is no time; give a date"),
        ({"since": [b"2026-02-30T00:00:00Z"]}, "is no time"),
        ({"whole": [b"yes"]}, "whole must be one of 0, 1, false, true."),
        ({"q": [b"\xff"]}, "q is not UTF-8 text."),
        ({"q": [b"a\0b"]}, "q holds a NUL character"),
        ({"q": [b""]}, "q must not be empty."),
        ({"q": [b"abcdef"]}, "q is too long; 5 is the most."),
        ({}, "before is missing; what is older."),
    ],
)
def test_a_query_that_is_wrong_is_refused_by_name(
    arguments: dict[str, list[bytes]], sentence: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_query(arguments, (COUNT, SINCE, WHOLE, WORDS, BEFORE))
    assert sentence in refused.value.message


def test_a_query_turns_into_values() -> None:
    arguments = {"limit": [b"7"], "since": [b"2026-01-02T03:04:05+01:00"], "whole": [b"1"]}
    assert parse_query(arguments, (COUNT, SINCE, WHOLE, WORDS)) == {
        "limit": 7,
        "since": datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC),
        "whole": "1",
    }


@pytest.mark.parametrize("name", ["token", "_xsrf", "_", "no_track_activity", "1795230000000"])
def test_what_jupyter_adds_to_urls_is_let_pass(name: str) -> None:
    assert parse_query({name: [b""]}, ()) == {}
