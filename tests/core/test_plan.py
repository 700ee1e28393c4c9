"""Plans: which cells run, with what limits, and what is refused before anything starts."""

from __future__ import annotations

import math
from typing import Any

import pytest

from blackroad_nb.core.document import code_cell
from blackroad_nb.core.execution import Status
from blackroad_nb.core.plan import (
    Earlier,
    cell_timeout,
    check_request,
    make_plan,
    resume_index,
    timeout_limit,
)
from blackroad_nb.core.run import CellResult, Run, RunRequest, RunStatus
from blackroad_nb.errors import InvalidInput


def code(source: str = "x", **metadata: Any) -> dict[str, Any]:
    return {**code_cell(source, "c"), "metadata": metadata}


def numbered(*cells: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**cell, "id": f"c{index}"} for index, cell in enumerate(cells)]


MARKDOWN = {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# hi"}
RAW = {"cell_type": "raw", "id": "r", "metadata": {}, "source": "raw"}
SKIPPED = code("x", tags=["skip-execution"])
RAISES = code("1/0", tags=["raises-exception"])
CELLS = numbered(MARKDOWN, code(), code(" \n\t"), SKIPPED, RAISES, RAW, code())


def asked(**values: Any) -> RunRequest:
    return RunRequest(notebook_id="n", **values)


def indexes(request: RunRequest, **more: Any) -> list[int]:
    return [step.index for step in make_plan(CELLS, request, **more).steps]


@pytest.mark.parametrize(
    ("request_", "injected", "expected"),
    [
        (asked(), None, [1, 4, 6]),
        (asked(cell=1), None, [1]),
        (asked(cell=6), None, [6]),
        (asked(cell=6, with_predecessors=True), None, [1, 4, 6]),
        (asked(cell=4, with_predecessors=True), None, [1, 4]),
        (asked(cell=6), 1, [1, 6]),
        (asked(cell=2), None, []),
        (asked(cell=3), None, []),
    ],
)
def test_which_cells_run(request_: RunRequest, injected: int | None, expected: list[int]) -> None:
    assert indexes(request_, injected=injected) == expected


@pytest.mark.parametrize(
    ("cell", "with_predecessors", "expected"),
    [
        (0, False, [2, 0]),  # before the defaults
        (1, False, [1, 2]),  # the defaults themselves
        (1, True, [0, 1, 2]),
        (3, False, [2, 3]),
        (3, True, [0, 1, 2, 3]),
    ],
)
def test_parameters_come_after_their_defaults(
    cell: int, with_predecessors: bool, expected: list[int]
) -> None:
    cells = [code(), code(tags=["parameters"]), code(tags=["injected-parameters"]), code()]
    request = asked(cell=cell, with_predecessors=with_predecessors)
    assert [step.index for step in make_plan(cells, request, injected=2).steps] == expected


@pytest.mark.parametrize("index", [2, 3])
def test_a_cell_that_is_not_sent_is_said(index: int) -> None:
    assert "empty or tagged" in make_plan(CELLS, asked(cell=index)).notes[0]


@pytest.mark.parametrize(
    ("index", "message"),
    [(0, "markdown cell"), (5, "raw cell"), (7, "no cell 7; the notebook has 7 cells")],
)
def test_cells_that_cannot_run(index: int, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        make_plan(CELLS, asked(cell=index))


def test_only_tagged_cells_may_raise() -> None:
    steps = make_plan(CELLS, asked()).steps
    assert [step.index for step in steps if step.may_raise] == [4]


@pytest.mark.parametrize(
    "request_",
    [
        asked(cell=-1),
        asked(cell=True),
        asked(cell=1.0),
        asked(with_predecessors=True),
        asked(resume=True, cell=1),
        asked(resume=True, parameters={"a": 1}),
        asked(timeout_seconds=math.nan),
        asked(timeout_seconds=True),
        asked(timeout_seconds="9"),
        asked(parameters={"a b": 1}),
    ],
)
def test_contradictions_are_refused(request_: RunRequest) -> None:
    with pytest.raises(InvalidInput):
        check_request(request_)


@pytest.mark.parametrize(
    ("value", "limit"),
    [(None, None), (0, None), (-3, None), (2, 2.0), (0.5, 0.5), (math.inf, None), (10**400, None)],
)
def test_time_outs(value: object, limit: float | None) -> None:
    assert timeout_limit(value, "It") == limit


@pytest.mark.parametrize(
    ("metadata", "call", "limit"),
    [
        ({}, None, 60.0),
        ({}, 5, 5.0),
        ({}, 0, None),
        ({"timeout": 7}, 5, 7.0),
        ({"timeout": 0}, 5, None),
        ({"blackroad": {"timeout": 3}, "timeout": 7}, 5, 3.0),
        ({"blackroad": "odd"}, 5, 5.0),
        ({"blackroad": {"timeout": None}}, 5, 5.0),
    ],
)
def test_whose_time_out_counts(
    metadata: dict[str, Any], call: float | None, limit: float | None
) -> None:
    assert cell_timeout(code(**metadata), call) == limit


@pytest.mark.parametrize("value", ["10s", True, [], math.nan])
def test_a_cells_odd_time_out_is_ignored_and_said(value: object) -> None:
    plan = make_plan([code(), code(timeout=value)], asked(timeout_seconds=5))
    assert [step.timeout_seconds for step in plan.steps] == [5.0, 5.0]
    assert plan.notes == (
        "The time-out in the metadata of cell 1 is no number of seconds and was ignored: "
        f"{value!r}.",
    )
    ours = make_plan([code(timeout=value, blackroad={"timeout": 3})], asked())
    assert ours.steps[0].timeout_seconds == 3.0


def result(index: int, status: Status, cell_id: str | None = "") -> CellResult:
    return CellResult(index, f"c{index}" if cell_id == "" else cell_id, status)


OK, ERROR = Status.SUCCESS, Status.ERROR


@pytest.mark.parametrize(
    ("results", "start"),
    [
        ([], 1),
        ([result(1, OK)], 4),
        ([result(1, ERROR)], 1),
        ([result(1, OK), result(4, ERROR)], 6),
        ([result(1, OK), result(4, Status.TIMEOUT)], 4),
        ([result(1, OK), result(4, OK), result(6, Status.ABORTED)], 6),
        ([result(1, OK), result(4, OK), result(6, OK)], None),
        # the cell moved: its id counts, not its place
        ([result(0, OK, "c1"), result(3, OK, "c4")], 6),
        ([result(1, OK, "other")], 1),
    ],
)
def test_where_a_resume_starts(results: list[CellResult], start: int | None) -> None:
    assert resume_index(CELLS, results) == start


def test_without_ids_the_index_counts() -> None:
    cells = [{**code(), "id": None}, {**code(), "id": None}]
    assert resume_index(cells, [result(0, OK, None)]) == 1


def earlier(*results: CellResult, kept: bool) -> Earlier:
    run = Run("r", "n", RunStatus.ERROR, {}, "/p", "python3", cells=results)
    return Earlier(run, kept)


def test_a_resume_with_its_kernel_starts_right_there() -> None:
    plan = make_plan(
        CELLS, asked(resume=True), earlier=earlier(result(1, OK), result(4, OK), kept=True)
    )
    assert [step.index for step in plan.steps] == [6]
    assert [cell.index for cell in plan.carried] == [1, 4]
    assert "Resumed at cell 6" in plan.notes[0]


def test_a_resume_without_its_kernel_says_that_all_is_run_again() -> None:
    plan = make_plan(CELLS, asked(resume=True), earlier=earlier(result(1, OK), kept=False))
    assert [step.index for step in plan.steps] == [1, 4, 6]
    assert plan.carried == ()
    assert "so is its state: 1 cell before cell 4 ran again" in plan.notes[0]


@pytest.mark.parametrize(
    ("past", "message"),
    [
        (None, "no earlier run"),
        (earlier(*(result(i, OK) for i in (1, 4, 6)), kept=True), "nothing to resume"),
    ],
)
def test_nothing_to_resume(past: Earlier | None, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        make_plan(CELLS, asked(resume=True), earlier=past)
