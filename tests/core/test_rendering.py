"""Records, CSV and what comes back as a notebook: nothing lost, nothing dangerous."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.kernel import KernelInfo, RegisteredKernel
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.core.rendering import (
    csv_header,
    csv_row,
    execution_record,
    history_cell,
    history_frame,
    kernel_record,
    notebook_record,
    run_record,
    stored_outputs,
)
from blackroad_nb.core.run import CellResult, Run, RunStatus

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOKYO = timezone(timedelta(hours=9))


def given_back(execution: Execution) -> Any:
    """Return the notebook that has this execution as its one cell."""
    before, after = history_frame("python3")
    return json.loads(before + history_cell(execution) + after)


def ran(**changes: object) -> Execution:
    return Execution(
        **{"id": "e", "status": Status.SUCCESS, "source": "1", "started_at": NOON} | changes
    )  # type: ignore[arg-type]


def test_an_execution_record_holds_every_field_as_json():
    execution = ran(
        source="print('\ud83d\n')",
        started_at=NOON.astimezone(TOKYO),
        output='[{"output_type": "stream", "name": "stdout", "text": "\\u00fc"}]',
        seq=9,
    )
    record = json.loads(json.dumps(execution_record(execution)))
    assert set(record) == {field.name for field in fields(Execution)}
    assert record["source"] == "print('\ud83d\n')"
    assert record["started_at"] == "2026-03-01T12:00:00.000000+00:00"
    assert record["output"] == [{"output_type": "stream", "name": "stdout", "text": "ü"}]
    assert (record["finished_at"], record["seq"], record["status"]) == (None, 9, "success")


@pytest.mark.parametrize("output", [None, "not json", "{}", "7", "[" * 100_000])
def test_output_that_is_no_list_of_outputs_is_none(output):
    assert stored_outputs(ran(output=output)) is None
    assert execution_record(ran(output=output))["output"] is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("=HYPERLINK('http://x')", "'=HYPERLINK('http://x')"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("＝1", "'＝1"),  # noqa: RUF001
        ("x = 1", "x = 1"),
        ("'=1", "'=1"),
        ("", ""),
        ('a "quoted", line\nand another', 'a "quoted", line\nand another'),
    ],
)
def test_no_cell_of_the_csv_is_a_formula(source, expected):
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(csv_header())
    writer.writerow(csv_row(ran(source=source, user=source, error=source, duration_ms=-3)))
    (row,) = csv.DictReader(io.StringIO(file.getvalue(), newline=""))
    assert (row["source"], row["user"], row["error"]) == (expected, expected, expected)
    assert row["duration_ms"] == "-3"
    assert row["path"] == ""


def test_a_csv_row_has_a_cell_for_each_column():
    assert len(csv_row(ran())) == len(csv_header()) == len(fields(Execution))


def test_a_notebook_record_is_json():
    notebook = Notebook("n", "N", "/n.ipynb", "python3", NOON, NOON, 3, {"a": [1]})
    assert json.loads(json.dumps(notebook_record(notebook))) == {
        "id": "n",
        "name": "N",
        "path": "/n.ipynb",
        "kernel": "python3",
        "created_at": "2026-03-01T12:00:00.000000+00:00",
        "updated_at": "2026-03-01T12:00:00.000000+00:00",
        "cell_count": 3,
        "metadata": {"a": [1]},
    }


def test_a_run_record_is_json_with_every_field():
    outputs = ({"output_type": "error"},)
    cell = CellResult(0, "c", Status.ERROR, "e", 1, 5, "KeyError: 1", outputs, NOON)
    run = Run("r", "n", RunStatus.RUNNING, {"cell": 1}, "/n", "python3", cells=(cell,))
    record = json.loads(json.dumps(run_record(run)))
    assert set(record) == {field.name for field in fields(Run)}
    assert (record["status"], record["started_at"]) == ("running", None)
    assert record["cells"][0]["status"] == "error"
    assert record["cells"][0]["outputs"] == [{"output_type": "error"}]
    assert record["cells"][0]["started_at"] == NOON.isoformat(timespec="microseconds")


def test_a_kernel_record_is_json():
    info = KernelInfo("julia", "julia", "Julia", ("julia", "{connection_file}"), True)
    record = json.loads(json.dumps(kernel_record(info)))
    assert (record["name"], record["registered"]) == ("julia", True)
    assert record["argv"] == ["julia", "{connection_file}"]
    kept = RegisteredKernel("1", "julia", "julia", "Julia", ("julia",), NOON)
    assert json.loads(json.dumps(kernel_record(kept)))["id"] == "1"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            '[{"output_type": "stream", "name": "x", "text": "a"}, 7, {"output_type": "evil"}]',
            1,
        ),
        ("[]", 0),
        ("null", 0),
        (None, 0),
    ],
)
def test_only_outputs_that_a_notebook_may_hold_come_back(output, expected):
    content = given_back(ran(output=output))
    assert len(content["cells"][0]["outputs"]) == expected


def test_a_success_has_no_error_output_whatever_its_row_says():
    content = given_back(ran(error="left over"))
    assert content["cells"][0]["outputs"] == []
