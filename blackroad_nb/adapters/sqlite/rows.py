"""Rows to values and back; the one place that knows how a column is written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.kernel import RegisteredKernel
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.core.run import CellResult, Run, RunStatus
from blackroad_nb.core.search import search_parts
from blackroad_nb.core.usage import UsageTotal, usage_of

Values = dict[str, Any]
Row = tuple[Any, ...]

_WHOLE = 2**63


def moment_text(moment: datetime) -> str:
    """Write a time so that text order is time order."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")


def optional_moment_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment_text(moment)


def _optional_moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def text(value: str) -> str:
    """Replace what UTF-8 cannot hold: half of a character that a kernel cut in two."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def optional_text(value: str | None) -> str | None:
    return None if value is None else text(value)


def _optional_whole(value: int | None) -> int | None:
    """A number that no column can hold says nothing: a kernel may send any."""
    return value if value is not None and -_WHOLE <= value < _WHOLE else None


def _json(value: object) -> str:
    """Write JSON that SQLite accepts; a number that is not finite becomes null."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_finite(value), separators=(",", ":"))


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(child) for child in value]
    return value


def _cells_json(cells: Sequence[CellResult]) -> str:
    """Write a run's cells; outputs nested too deeply for JSON are in the artefact only."""
    try:
        return _json([_stored_cell(cell) for cell in cells])
    except RecursionError:
        return _json([_stored_cell(replace(cell, outputs=())) for cell in cells])


def _stored_cell(cell: CellResult) -> dict[str, Any]:
    return {**asdict(cell), "started_at": optional_moment_text(cell.started_at)}


def notebook_values(notebook: Notebook) -> Values:
    return {
        "id": notebook.id,
        "name": text(notebook.name),
        "path": text(notebook.path),
        "kernel": text(notebook.kernel),
        "created_at": moment_text(notebook.created_at),
        "updated_at": moment_text(notebook.updated_at),
        "cell_count": notebook.cell_count,
        "metadata": _json(dict(notebook.metadata)),
    }


def notebook_of(row: Row) -> Notebook:
    key, name, path, kernel, created_at, updated_at, cell_count, metadata = row
    return Notebook(
        id=key,
        name=name,
        path=path,
        kernel=kernel,
        created_at=datetime.fromisoformat(created_at),
        updated_at=datetime.fromisoformat(updated_at),
        cell_count=cell_count,
        metadata=json.loads(metadata),
    )


def execution_values(execution: Execution, process: str) -> Values:
    event = usage_of(execution)
    return {
        "id": execution.id,
        "notebook_id": execution.notebook_id,
        "cell_index": _optional_whole(execution.cell_index),
        "source": text(execution.source),
        "output": optional_text(execution.output),
        "status": execution.status.value,
        "started_at": moment_text(execution.started_at),
        "finished_at": optional_moment_text(execution.finished_at),
        "duration_ms": _optional_whole(execution.duration_ms),
        "path": optional_text(execution.path),
        "cell_id": optional_text(execution.cell_id),
        "execution_count": _optional_whole(execution.execution_count),
        "error": optional_text(execution.error),
        "origin": execution.origin,
        "run_id": execution.run_id,
        "kernel_id": execution.kernel_id,
        "user": optional_text(execution.user),
        "user_source": execution.user_source,
        "server": execution.server,
        "queued_at": optional_moment_text(execution.queued_at),
        "process": process if execution.status is Status.PENDING else None,
        "trust": event.trust.value if event else None,
        "search_parts": optional_text(search_parts(execution.source, execution.error)),
    }


def execution_of(row: Row) -> Execution:
    """Build from the columns in the order the statement `columns` names them."""
    key, status, source, started_at, finished_at, *others = row
    *others, queued_at, seq = others
    values: list[Any] = [*others, _optional_moment(queued_at), seq]
    return Execution(
        key,
        Status(status),
        source,
        datetime.fromisoformat(started_at),
        _optional_moment(finished_at),
        *values,
    )


def usage_total_of(row: Row) -> UsageTotal:
    return UsageTotal(*row)


def run_values(run: Run, process: str) -> Values:
    return {
        "id": run.id,
        "notebook_id": run.notebook_id,
        "status": run.status.value,
        "requested": _json(dict(run.requested)),
        "path": text(run.path),
        "kernel": text(run.kernel),
        "user": optional_text(run.user),
        "kernel_id": run.kernel_id,
        "artefact": optional_text(run.artefact),
        "cells": _cells_json(run.cells),
        "message": optional_text(run.message),
        "code": run.code,
        "started_at": optional_moment_text(run.started_at),
        "finished_at": optional_moment_text(run.finished_at),
        "owner": run.owner,
        "process": None if run.status.final else process,
    }


def run_of(row: Row) -> Run:
    (key, notebook_id, status, requested, path, kernel, user, kernel_id, artefact) = row[:9]
    (cells, message, code, started_at, finished_at, owner, seq) = row[9:]
    return Run(
        id=key,
        notebook_id=notebook_id,
        status=RunStatus(status),
        requested=json.loads(requested),
        path=path,
        kernel=kernel,
        user=user,
        kernel_id=kernel_id,
        artefact=artefact,
        cells=tuple(_cell_result(cell) for cell in json.loads(cells)),
        message=message,
        code=code,
        started_at=_optional_moment(started_at),
        finished_at=_optional_moment(finished_at),
        owner=owner,
        seq=seq,
    )


def _cell_result(stored: Mapping[str, Any]) -> CellResult:
    read = {
        "status": Status(stored["status"]),
        "outputs": tuple(stored["outputs"]),
        "started_at": _optional_moment(stored.get("started_at")),
    }
    return CellResult(**{**stored, **read})


def kernel_values(kernel: RegisteredKernel) -> Values:
    return {
        "id": kernel.id,
        "name": kernel.name,
        "language": kernel.language,
        "display_name": kernel.display_name,
        "argv": _json(list(kernel.argv)),
        "created_at": moment_text(kernel.created_at),
    }


def kernel_of(row: Row) -> RegisteredKernel:
    key, name, language, display_name, argv, created_at = row
    return RegisteredKernel(
        key,
        name,
        language,
        display_name,
        tuple(json.loads(argv)),
        datetime.fromisoformat(created_at),
    )
