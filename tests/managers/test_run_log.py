"""What events carry of a cell's outputs: the last ones, within a bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from blackroad_nb.core.execution import Status
from blackroad_nb.core.run import CellResult
from blackroad_nb.managers.run_log import CELL_CHARACTERS, CELL_EVENTS, CELL_OUTPUTS, RunLog

PICTURE = {
    "output_type": "display_data",
    "data": {"text/plain": "<Figure>", "image/png": "A" * 20_000},
    "metadata": {},
}


def stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def finished(*outputs: dict[str, Any]) -> dict[str, Any]:
    log = RunLog()
    log.add_finished(CellResult(0, "c", Status.SUCCESS, outputs=outputs))
    return dict(log._events[0].data)


def test_a_cell_with_very_many_outputs_is_not_looked_through_for_ever() -> None:
    log = RunLog()
    for number in range(CELL_EVENTS + 5):
        log.add_outputs(0, [stream("x")] * number)
    assert len(log._events) == CELL_EVENTS
    log.add_outputs(0, Unread())
    log.add_outputs(1, [stream("y")])
    assert log._events[-1].data["index"] == 1


class Unread(list[dict[str, Any]]):
    def __iter__(self) -> Iterator[dict[str, Any]]:
        raise AssertionError("no event is left to tell of these")


def test_a_loop_of_prints_and_plots_is_shown_whole() -> None:
    outputs = [part for number in range(60) for part in (stream(f"{number}\n"), PICTURE)]
    data = finished(*outputs)
    assert [part.get("text") for part in data["outputs"][::2]] == [f"{n}\n" for n in range(60)]
    assert len(data["outputs"]) == 120
    assert "truncated" not in data


@pytest.mark.parametrize(
    "outputs",
    [
        [stream(f"{number:05}\n" * 1000) for number in range(20)],
        [stream(f"{number:05}\n") for number in range(CELL_OUTPUTS * 2)],
    ],
    ids=["long", "many"],
)
def test_what_is_left_out_is_the_beginning(outputs: list[dict[str, Any]]) -> None:
    data = finished(*outputs)
    assert data["truncated"]
    shown = "".join(part["text"] for part in data["outputs"])
    assert len(shown) <= CELL_CHARACTERS
    assert "".join(part["text"] for part in outputs).endswith(shown)
    assert len(shown) > 3_000
