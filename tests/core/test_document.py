"""Documents: written as nbformat writes them, cell by cell or whole."""

from __future__ import annotations

import json
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackroad_nb.core.document import (
    assemble_document,
    code_cell,
    new_document,
    parse_document,
    repair_ids,
    serialize_cell,
    serialize_document,
)
from blackroad_nb.errors import InvalidNotebook

OUTPUTS: list[dict[str, Any]] = [
    {"output_type": "stream", "name": "stdout", "text": "a\nb\n"},
    {"output_type": "stream", "name": "stderr", "text": "é\u2028x"},
    {
        "output_type": "display_data",
        "metadata": {"image/png": {"width": 3}},
        "data": {
            "text/plain": "x\ny",
            "image/png": "AAAA\nBBBB\n",
            "image/svg+xml": "<svg>\n</svg>",
            "application/javascript": "a;\nb;",
            "application/json": {"a": [1, 2.5, None, True], "b": {}, "c": []},
            "application/vnd.x+json": "text\nwith lines",
        },
    },
    {"output_type": "execute_result", "execution_count": 3, "metadata": {}, "data": {}},
    {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31mx", "y"]},
]


def notebook() -> dict[str, Any]:
    document = new_document("python3", "c0")
    document["cells"][0].update(source="a = 1\nprint(a)", outputs=OUTPUTS, execution_count=3)
    document["cells"].append(
        {"cell_type": "markdown", "id": "m", "metadata": {"z": 1, "a": "x"}, "source": "# T\n\n√"}
    )
    return document


def test_the_file_is_the_one_nbformat_writes() -> None:
    document = notebook()
    theirs = nbformat.writes(nbformat.from_dict(document), version=4) + "\n"
    assert serialize_document(document).decode() == theirs


def test_cells_written_one_by_one_make_the_same_file() -> None:
    document = notebook()
    texts = [serialize_cell(cell) for cell in document["cells"]]
    assert assemble_document(document, texts) == serialize_document(document)


def test_no_cells_is_a_notebook_too() -> None:
    document = {**notebook(), "cells": []}
    assert json.loads(serialize_document(document)) == document


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.text())
def test_what_goes_in_comes_back(value: object, source: str) -> None:
    document = new_document("python3", "c0")
    document["metadata"]["value"] = value
    document["cells"][0]["source"] = source
    assert parse_document(serialize_document(document)) == document


@given(JSON)
def test_values_are_written_as_the_standard_library_would(value: object) -> None:
    cell = {**code_cell("", "c"), "metadata": {"v": value}}
    theirs = json.dumps({**cell, "source": []}, indent=1, ensure_ascii=False, sort_keys=True)
    assert serialize_cell(cell) == theirs.replace("\n", "\n  ")


def test_half_a_surrogate_pair_does_not_make_the_file_unreadable() -> None:
    document = new_document("python3", "c0")
    document["cells"][0]["source"] = "x = '\udc80'"
    content = serialize_document(document)
    assert json.loads(content.decode("utf-8")) is not None
    assert parse_document(content)["cells"][0]["source"] == "x = '\udc80'"


def test_absurd_nesting_is_refused_not_crashed_on() -> None:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    cell = {**code_cell("", "c"), "metadata": {"v": value}}
    with pytest.raises(InvalidNotebook, match="nested too deeply"):
        serialize_cell(cell)


@pytest.mark.parametrize(
    "outputs", [["text"], [None], [{"output_type": "stream", "text": 3}], [{"data": "x"}], [{}]]
)
def test_odd_outputs_of_other_programs_are_kept_as_they_are(outputs: list[Any]) -> None:
    cell = {**code_cell("", "c"), "outputs": outputs}
    assert json.loads(serialize_cell(cell))["outputs"] == outputs


def with_ids(minor: int, *ids: object) -> dict[str, Any]:
    cells = [{**code_cell("", ""), "id": found} for found in ids]
    for cell in cells:
        if cell["id"] is None:
            del cell["id"]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": minor}


@pytest.mark.parametrize(
    ("minor", "before", "after"),
    [
        (5, ["a", "b"], ["a", "b"]),
        (5, [None, "b", None], ["cell-0", "b", "cell-2"]),
        (5, ["dup", "dup", "dup"], ["dup", "cell-1", "cell-2"]),
        (5, [None, "cell-0", "cell-0"], ["cell-1", "cell-0", "cell-2"]),
        (5, [7, ["x"]], ["cell-0", "cell-1"]),
        (4, [None, None], [None, None]),
    ],
)
def test_cells_get_ids_of_their_own(minor: int, before: list[Any], after: list[Any]) -> None:
    document = with_ids(minor, *before)
    repair_ids(document)
    assert [cell.get("id") for cell in document["cells"]] == after
    nbformat.validate(nbformat.from_dict(document))


def test_a_later_format_keeps_what_we_do_not_know() -> None:
    document = with_ids(99, "a")
    document["cells"].append({"cell_type": "future cell", "id": "f", "key": ["a\n", 1]})
    document["cells"].append({"cell_type": "heading", "source": ["a\n", "b"]})
    assert json.loads(serialize_document(parse_document(json.dumps(document).encode()))) == {
        **document,
        "cells": [{**document["cells"][0], "source": []}, *document["cells"][1:]],
    }


def test_a_missing_minor_version_is_none_at_all() -> None:
    document = with_ids(5, "a")
    del document["nbformat_minor"]
    assert parse_document(json.dumps(document).encode())["nbformat_minor"] == 0
    document["nbformat_minor"] = "5"
    with pytest.raises(InvalidNotebook, match="nbformat_minor is '5', not a whole number; open"):
        parse_document(json.dumps(document).encode())
