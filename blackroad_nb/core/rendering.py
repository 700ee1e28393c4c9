"""How facts look to others: JSON-ready records, CSV rows, and a notebook or script again.

The same record comes from the command line, REST and Python. Times are ISO-8601
in UTC with microseconds. JSON loses nothing. CSV is for spreadsheets, so a cell
that one would read as a formula gets a `'` in front.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from blackroad_nb.core.document import assemble_document, code_cell, serialize_cell
from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.kernel import KernelInfo, RegisteredKernel
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.core.run import CellResult, Run
from blackroad_nb.core.usage import UsageTotal

Record = dict[str, Any]

# A cell starting so is calculated, not shown; full-width forms count too.
# Source: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
_CELLS = "\0cells"  # stands for the cells while the rest of a notebook is written
_OUTPUT_TYPES = ("stream", "display_data", "execute_result", "error")
_COLUMNS = (
    "seq",
    "id",
    "notebook_id",
    "path",
    "cell_index",
    "cell_id",
    "execution_count",
    "status",
    "source",
    "output",
    "error",
    "started_at",
    "finished_at",
    "duration_ms",
    "queued_at",
    "origin",
    "run_id",
    "kernel_id",
    "user",
    "user_source",
    "server",
)


def timestamp(moment: datetime | None) -> str | None:
    """Write a time as every record does."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")


def execution_record(execution: Execution) -> Record:
    """Return an execution as JSON-ready values.

    `output` is a list of nbformat outputs; null where none were kept or asked for.
    """
    # Not `asdict`, which copies the whole depth: a download has very many rows.
    record: Record = {name: getattr(execution, name) for name in _COLUMNS}
    record["status"] = execution.status.value
    record["output"] = stored_outputs(execution)
    for name in ("started_at", "finished_at", "queued_at"):
        record[name] = timestamp(record[name])
    return record


def stored_outputs(execution: Execution) -> list[Record] | None:
    """Return the outputs that were kept, or None when none were."""
    if execution.output is None:
        return None
    try:
        outputs = json.loads(execution.output)
    except (ValueError, RecursionError):
        return None  # others may write the table too
    return outputs if isinstance(outputs, list) else None


def csv_header() -> list[str]:
    """Return the names of the columns, in the order of `csv_row`."""
    return list(_COLUMNS)


def csv_row(execution: Execution) -> list[str]:
    """Return one line of the CSV; nothing in it is taken for a formula."""
    record = execution_record(execution)
    record["output"] = execution.output
    return [_csv_cell(record[name]) for name in _COLUMNS]


def _csv_cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def notebook_record(notebook: Notebook) -> Record:
    """Return a registry row as JSON-ready values."""
    return {
        "id": notebook.id,
        "name": notebook.name,
        "path": notebook.path,
        "kernel": notebook.kernel,
        "created_at": timestamp(notebook.created_at),
        "updated_at": timestamp(notebook.updated_at),
        "cell_count": notebook.cell_count,
        "metadata": dict(notebook.metadata),
    }


def run_record(run: Run, outputs: bool = True) -> Record:
    """Return a run with its cells as JSON-ready values.

    Args:
        outputs: with those of the cells; they are null otherwise.
    """
    return {
        "seq": run.seq,
        "id": run.id,
        "notebook_id": run.notebook_id,
        "status": run.status.value,
        "requested": dict(run.requested),
        "path": run.path,
        "kernel": run.kernel,
        "user": run.user,
        "kernel_id": run.kernel_id,
        "artefact": run.artefact,
        "cells": [cell_record(cell, outputs) for cell in run.cells],
        "message": run.message,
        "code": run.code,
        "started_at": timestamp(run.started_at),
        "finished_at": timestamp(run.finished_at),
        "owner": run.owner,
    }


def cell_record(cell: CellResult, outputs: bool = True) -> Record:
    """Return a cell of a run as JSON-ready values."""
    values = asdict(replace(cell, outputs=()))  # no copy of what can be large
    return {
        **values,
        "status": cell.status.value,
        "outputs": list(cell.outputs) if outputs else None,
        "started_at": timestamp(cell.started_at),
    }


def kernel_record(kernel: KernelInfo | RegisteredKernel) -> Record:
    """Return a kernel as JSON-ready values."""
    record: Record = {
        "name": kernel.name,
        "language": kernel.language,
        "display_name": kernel.display_name,
        "argv": list(kernel.argv),
    }
    if isinstance(kernel, KernelInfo):
        record["registered"] = kernel.registered
        return {**record, "problem": kernel.problem} if kernel.problem else record
    return {"id": kernel.id, **record, "created_at": timestamp(kernel.created_at)}


def usage_record(total: UsageTotal) -> Record:
    """Return a sum of usage as JSON-ready values."""
    return asdict(total)


def history_frame(kernel: str) -> tuple[str, str]:
    """Return what stands before and after the cells of a notebook that is given back."""
    document = {
        "cells": (),
        "metadata": {"kernelspec": {"name": kernel, "display_name": kernel}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    before, after = assemble_document(document, [_CELLS]).decode().split(_CELLS)
    return before, after


def history_cell(execution: Execution) -> str:
    """Return an execution as a code cell with the outputs that were kept.

    The cell's metadata says under `blackroad` when it ran, for how long and how it ended.
    """
    text = serialize_cell(_history_cell(execution))
    return text.encode("utf-8", "backslashreplace").decode()


def _history_cell(execution: Execution) -> Record:
    cell = code_cell(execution.source, execution.id)
    cell["execution_count"] = execution.execution_count
    cell["outputs"] = _cell_outputs(execution)
    cell["metadata"] = {
        "blackroad": {
            "execution_id": execution.id,
            "status": execution.status.value,
            "started_at": timestamp(execution.started_at),
            "finished_at": timestamp(execution.finished_at),
            "duration_ms": execution.duration_ms,
        }
    }
    return cell


def _cell_outputs(execution: Execution) -> list[Record]:
    kept = [
        output
        for output in stored_outputs(execution) or ()
        if isinstance(output, Mapping) and output.get("output_type") in _OUTPUT_TYPES
    ]
    if not kept and execution.error and execution.status is not Status.SUCCESS:
        summary, _, traceback = execution.error.partition("\n")
        name, separator, value = summary.partition(": ")
        return [
            {
                "output_type": "error",
                "ename": name if separator else "",
                "evalue": value if separator else summary,
                "traceback": traceback.splitlines(),
            }
        ]
    return [dict(output) for output in kept]


def history_script(executions: Iterable[Execution]) -> str:
    """Return the executions as one script of cells that editors know by `# %%`.

    The code is as it was typed, also where it holds IPython's own commands.
    """
    parts = ["# Code that ran, oldest first, as the history recorded it.\n"]
    for execution in executions:
        facts = [execution.status.value, timestamp(execution.started_at)]
        if execution.duration_ms is not None:
            facts.append(f"{execution.duration_ms} ms")
        if execution.user is not None:
            facts.append(json.dumps(execution.user))  # one line, whatever the name holds
        title = ", ".join(fact for fact in facts if fact)
        parts.append(f"# %% [{title}]\n{execution.source.rstrip()}\n")
    return "\n".join(parts)
