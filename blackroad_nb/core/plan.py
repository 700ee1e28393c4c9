"""Which cells a run sends to the kernel, and with what limits.

Everything is decided here, from values, before a kernel is started: a request
that cannot be carried out is refused while nothing has happened yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from blackroad_nb.core.execution import Status
from blackroad_nb.core.kernel import check_kernel_name
from blackroad_nb.core.kinds import check_flag
from blackroad_nb.core.parameters import TAG, check_parameters, tags
from blackroad_nb.core.run import DEFAULT_TIMEOUT_SECONDS, CellResult, Run, RunRequest
from blackroad_nb.errors import InvalidInput

SKIP_TAG = "skip-execution"  # nbclient's names for these two
RAISES_TAG = "raises-exception"

Cell = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One cell to send.

    Attributes:
        timeout_seconds: None for no limit.
        may_raise: the cell says itself that it raises, which is no failure of the run.
    """

    index: int
    timeout_seconds: float | None
    may_raise: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in order, what an earlier run left done, and what the user must know."""

    steps: tuple[Step, ...]
    carried: tuple[CellResult, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Earlier:
    """The run to resume, with the results of its cells, and whether its kernel lives."""

    run: Run
    kernel_kept: bool


def check_request(request: RunRequest) -> None:
    """Refuse a request that contradicts itself or holds impossible values.

    Raises:
        InvalidInput: says which value is wrong and what it may be.
    """
    for flag in ("with_predecessors", "resume", "continue_on_error", "keep_kernel"):
        check_flag(getattr(request, flag), flag)
    if request.cell is not None and not _is_index(request.cell):
        raise InvalidInput(f"The cell must be a whole number from 0, not {request.cell!r}.")
    if request.with_predecessors and request.cell is None:
        raise InvalidInput("Predecessors are run with one cell only; name the cell.")
    if request.resume and request.cell is not None:
        raise InvalidInput("Resume continues a whole run; do not name a cell with it.")
    if request.resume and request.parameters:
        raise InvalidInput(
            "A resumed run keeps the parameters it began with; start a new run to change them."
        )
    if request.resume and request.kernel is not None:
        raise InvalidInput(
            "A resumed run keeps the kernel it began with; start a new run to change it."
        )
    if request.kernel is not None:
        check_kernel_name(request.kernel)
    timeout_limit(request.timeout_seconds, "The time-out")
    check_parameters(request.parameters)


def timeout_limit(value: object, what: str) -> float | None:
    """Return a time-out in seconds, None for no limit (zero, negative, infinite, None).

    Raises:
        InvalidInput: not a number.
    """
    if value is None:
        return None
    seconds = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            seconds = float(value)
        except OverflowError:
            return None
    if math.isnan(seconds):
        raise InvalidInput(f"{what} must be a number of seconds, not {value!r}.")
    return seconds if 0 < seconds < math.inf else None


def cell_timeout(cell: Cell, call: float | None) -> float | None:
    """Return the limit of one cell in seconds: its own, else the call's, else 60.

    A cell says its own in `metadata.blackroad.timeout` or `metadata.timeout`: its
    author knows what it takes. Zero or less means no limit, wherever it is said. A
    value that is no number is ignored: other programs may use that key.
    """
    own = [value for value in _own_timeouts(cell) if _is_seconds(value)]
    chosen = own[0] if own else DEFAULT_TIMEOUT_SECONDS if call is None else call
    return timeout_limit(chosen, "The time-out")


def _own_timeouts(cell: Cell) -> list[Any]:
    metadata = cell["metadata"]
    ours = metadata.get("blackroad")
    holders = (ours if isinstance(ours, Mapping) else {}, metadata)
    return [holder["timeout"] for holder in holders if holder.get("timeout") is not None]


def _is_seconds(value: object) -> bool:
    if isinstance(value, float):
        return not math.isnan(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _ignored_timeouts(cells: Sequence[Cell], steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        for value in _own_timeouts(cells[step.index]):
            if not _is_seconds(value):
                yield (
                    f"The time-out in the metadata of cell {step.index} is no number of "
                    f"seconds and was ignored: {repr(value)[:40]}."
                )


def runnable(cell: Cell) -> bool:
    """Tell whether a cell is sent at all: code, not empty, not tagged to be skipped."""
    return (
        cell["cell_type"] == "code" and bool(cell["source"].strip()) and SKIP_TAG not in tags(cell)
    )


def make_plan(
    cells: Sequence[Cell],
    request: RunRequest,
    injected: int | None = None,
    earlier: Earlier | None = None,
) -> Plan:
    """Decide what a run does.

    Args:
        cells: the cells as they will stand in the artefact.
        request: checked before; `cell` counts in `cells`.
        injected: where the cell with the parameters stands.
        earlier: the run to resume.

    Raises:
        InvalidInput: the cell does not exist or holds no code, or nothing is left to
            resume.
    """
    if request.cell is not None:
        plan = _single(cells, request, request.cell, injected)
    elif request.resume:
        plan = _resumed(cells, request, earlier)
    else:
        plan = Plan(_steps(cells, range(len(cells)), request))
    return replace(plan, notes=(*plan.notes, *_ignored_timeouts(cells, plan.steps)))


def _single(cells: Sequence[Cell], request: RunRequest, index: int, injected: int | None) -> Plan:
    if index >= len(cells):
        raise InvalidInput(
            f"There is no cell {index}; the notebook has {_counted(len(cells))}, counted from 0."
        )
    if cells[index]["cell_type"] != "code":
        raise InvalidInput(
            f"Cell {index} is a {cells[index]['cell_type']} cell; only code cells can be run."
        )
    wanted = list(range(index + 1)) if request.with_predecessors else [index]
    if injected is not None and injected not in wanted:
        # The values come before the cell that uses them, and after the defaults they replace.
        defaults = TAG in tags(cells[index])
        if defaults or not request.with_predecessors:
            wanted.insert(len(wanted) if defaults else 0, injected)
    notes = () if runnable(cells[index]) else (f"Cell {index} is empty or tagged to be skipped.",)
    return Plan(_steps(cells, wanted, request), notes=notes)


def _resumed(cells: Sequence[Cell], request: RunRequest, earlier: Earlier | None) -> Plan:
    if earlier is None:
        raise InvalidInput("This notebook has no earlier run to resume; run it without resume.")
    start = resume_index(cells, earlier.run.cells)
    if start is None:
        raise InvalidInput("Every cell of the last run succeeded; there is nothing to resume.")
    before = [index for index in range(start) if runnable(cells[index])]
    if not before:
        return Plan(_steps(cells, range(len(cells)), request))
    if not earlier.kernel_kept:
        note = (
            f"The kernel of the earlier run is gone, and so is its state: "
            f"{_counted(len(before))} before cell {start} ran again."
        )
        return Plan(_steps(cells, range(len(cells)), request), notes=(note,))
    note = f"Resumed at cell {start} in the kernel of the earlier run; cells before it were kept."
    done = _by_cell(cells, earlier.run.cells)
    carried = tuple(done[index] for index in before if index in done)
    return Plan(_steps(cells, range(start, len(cells)), request), carried, (note,))


def resume_index(cells: Sequence[Cell], results: Sequence[CellResult]) -> int | None:
    """Return the first cell that has to run and has not succeeded; None when all have.

    Results are matched by cell id where both sides have one, else by index. A cell
    that was expected to raise counts as done once it ran.
    """
    done = _by_cell(cells, results)
    for index, cell in enumerate(cells):
        if not runnable(cell):
            continue
        result = done.get(index)
        if result is None or not _passed(cell, result):
            return index
    return None


def _passed(cell: Cell, result: CellResult) -> bool:
    if result.status is Status.SUCCESS:
        return True
    return result.status is Status.ERROR and RAISES_TAG in tags(cell)


def _by_cell(cells: Sequence[Cell], results: Sequence[CellResult]) -> dict[int, CellResult]:
    by_id = {result.cell_id: result for result in results if result.cell_id}
    by_index = {result.index: result for result in results if not result.cell_id}
    found = {}
    for index, cell in enumerate(cells):
        cell_id = cell.get("id")
        result = by_id.get(cell_id) if cell_id else by_index.get(index)
        if result is not None:
            found[index] = result
    return found


def _steps(cells: Sequence[Cell], indexes: Sequence[int], request: RunRequest) -> tuple[Step, ...]:
    return tuple(
        Step(
            index,
            cell_timeout(cells[index], request.timeout_seconds),
            RAISES_TAG in tags(cells[index]),
        )
        for index in indexes
        if runnable(cells[index])
    )


def _counted(cells: int) -> str:
    return f"{cells} cell{'' if cells == 1 else 's'}"


def _is_index(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
