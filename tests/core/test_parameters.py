"""Parameters: literals that evaluate to what was given, and where their cell goes."""

from __future__ import annotations

import ast
import json
import math
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackroad_nb.core.document import code_cell
from blackroad_nb.core.parameters import (
    as_json,
    check_parameters,
    from_json,
    inject,
    injected_source,
    literal,
    speaks_python,
    tags,
    unknown_names,
    value_of,
)
from blackroad_nb.errors import InvalidInput


def cell(source: str = "", *names: object) -> dict[str, Any]:
    return {**code_cell(source, "c"), "metadata": {"tags": list(names)}}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_a_literal_evaluates_to_the_value(value: object) -> None:
    found = eval(literal(value), {"float": float, "__builtins__": {}})
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("True", True),
        ("False", False),
        ("None", None),
        ("true", True),
        ("null", None),
        ("TRUE", "TRUE"),
        ("-7", -7),
        ("+7", 7),
        ("007", 7),
        ("1_000", 1000),
        ("-1e5", -1e5),
        (".5", 0.5),
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
        ("-inf", -math.inf),
        ('"8"', "8"),
        ("[1, null]", [1, None]),
        ("[1, None]", "[1, None]"),
        ('{"a": true}', {"a": True}),
        ("[" * 100_000, "[" * 100_000),
        ("9" * 5000, math.inf),
        ("--x", "--x"),
        ("a=b", "a=b"),
        ("", ""),
        ("2026-01-31", "2026-01-31"),
    ],
    ids=lambda held: str(held)[:12],
)
def test_what_a_typed_value_is(text: str, value: object) -> None:
    found = value_of(text)
    assert (type(found), found) == (type(value), value)


@given(VALUES)
def test_a_recorded_value_comes_back(value: object) -> None:
    assert from_json(json.loads(json.dumps(as_json(value), allow_nan=False))) == value


def test_a_recorded_value_may_be_no_json_number() -> None:
    value = {"a": [math.inf, -math.inf, 1.5], "b": math.nan}
    assert as_json(value) == {
        "a": [{"$float": "inf"}, {"$float": "-inf"}, 1.5],
        "b": {"$float": "nan"},
    }
    back = from_json(as_json(value))
    assert back["a"] == value["a"]
    assert math.isnan(back["b"])
    for other in ({"$float": "x"}, {"$float": 5}, {"$float": "nan", "more": 1}):
        assert from_json(other) == other


def test_nan_is_a_number() -> None:
    assert math.isnan(value_of("NaN"))
    assert math.isnan(value_of("nan"))


def test_nan_and_infinities_are_kept() -> None:
    assert math.isnan(eval(literal(math.nan)))
    assert eval(literal([math.inf, -math.inf])) == [math.inf, -math.inf]


@pytest.mark.parametrize(
    "text",
    ["'", '"', '"""', "\\", "\n", "a\u2028b", "日本", "\ud800", "\0", "# x", "{}", "\x1b[0m"],
)
def test_a_text_stays_one_line_of_source(text: str) -> None:
    source = injected_source({"a": text})
    assert len(source.splitlines()) == 2
    assert ast.literal_eval(source.splitlines()[1].partition(" = ")[2]) == text


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"a b": 1}, "not a Python name"),
        ({"1a": 1}, "not a Python name"),
        ({"class": 1}, "not a Python name"),
        ({"None": 1}, "not a Python name"),
        ({"": 1}, "not a Python name"),
        ({"a;import os": 1}, "not a Python name"),
        ({"a": object()}, "type object"),
        ({"a": b"x"}, "type bytes"),
        ({"a": {1: 2}}, "not all text"),
        ({"a": {1, 2}}, "type set"),
        ({"a": 10**5000}, "more than 4200 digits"),
    ],
)
def test_bad_parameters_are_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        check_parameters(parameters)


def test_deep_nesting_is_refused_not_crashed_on() -> None:
    value: list[Any] = []
    # Beyond any recursion limit; much deeper would try the interpreter, which must free it.
    for _ in range(10 * sys.getrecursionlimit()):
        value = [value]
    with pytest.raises(InvalidInput, match="nested deeper"):
        check_parameters({"deep": value})


@pytest.mark.parametrize(
    ("before", "index", "moved"),
    [
        ([], 0, 1),
        ([cell("x")], 0, 1),
        ([cell("x"), cell("a=1", "parameters"), cell("y")], 2, 1),
        ([cell("a=1", "parameters"), cell("old", "injected-parameters"), cell("y")], 1, 0),
        ([cell("y"), cell("old", "injected-parameters")], 1, 0),
    ],
)
def test_where_the_cell_goes(before: list[dict[str, Any]], index: int, moved: int) -> None:
    after, found, shift = inject(before, {"a": 2}, code_cell("", "new"))
    assert (found, shift) == (index, moved)
    assert len(after) == len(before) + moved
    assert after[index]["source"] == "# Parameters\na = 2"
    assert tags(after[index]) == ["injected-parameters"]
    assert [c for i, c in enumerate(after) if i != index] == [
        c for c in before if "injected-parameters" not in tags(c)
    ]


@pytest.mark.parametrize("held", [None, "parameters", 3, {"a": 1}, ["x", 1, None]])
def test_odd_tags_do_not_break(held: object) -> None:
    odd = {**code_cell("", "c"), "metadata": {"tags": held}}
    assert all(isinstance(tag, str) for tag in tags(odd))


@pytest.mark.parametrize(
    ("source", "unknown"),
    [
        ("a = 1\nb: int = 2\n(c, d) = 1, 2", []),
        ("a = 1", ["b", "c", "d"]),
        ("%magic", []),
        ("def f():\n  return", ["a", "b", "c", "d"]),
        ("a = \0", []),
    ],
)
def test_names_without_a_default(source: str, unknown: list[str]) -> None:
    given_values = dict.fromkeys("abcd", 1)
    assert unknown_names([cell(source, "parameters")], given_values) == unknown


def test_without_a_parameters_cell_nothing_is_unknown() -> None:
    assert unknown_names([cell("x = 1")], {"a": 1}) == []


@pytest.mark.parametrize(
    ("metadata", "kernel", "registered", "python"),
    [
        ({}, "python3", None, True),
        ({}, "ir", None, False),
        ({}, "my-env", "Python", True),
        ({}, "python-like", "r", False),
        ({"kernelspec": {"language": "python"}}, "my-env", None, True),
        ({"language_info": {"name": "R"}}, "python3", None, False),
        ({"kernelspec": "odd", "language_info": 3}, "python3", None, True),
    ],
)
def test_who_speaks_python(
    metadata: dict[str, Any], kernel: str, registered: str | None, python: bool
) -> None:
    assert speaks_python(metadata, kernel, registered) is python
