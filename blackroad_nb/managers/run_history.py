"""What the history keeps of a run's cells, and how a run is read back from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.core.outputs import encodable, left_out_text
from blackroad_nb.core.run import CellResult, Run
from blackroad_nb.ports import Store

# Of one row's outputs, as JSON in UTF-8. A database that everybody searches is no place for
# large pictures and tables; the notebook that the run writes has all of them.
OUTPUT_BYTES = 1024 * 1024
_MARKER_BYTES = 512  # what the line on what was left out may take of it
_LARGE = 64 * 1024  # characters; writing more as JSON would hold up the event loop


async def stored_output(outputs: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Return the outputs that the notebook keeps, and the JSON that the history keeps.

    Outputs that JSON cannot hold are replaced by a word on it in both. The history keeps
    whole outputs, as many as its bound allows, and a line on those that were left out.
    """
    if _is_large(outputs):
        return await asyncio.to_thread(_stored_output, outputs)
    return _stored_output(outputs)


def _is_large(outputs: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether it takes long to write these as JSON, without doing it."""
    size = 0
    for output in outputs:
        for value in (output.get("text"), *(output.get("data") or {}).values()):
            if value is not None and not isinstance(value, str):
                return True  # JSON of any depth
            size += len(value or "")
    return size > _LARGE


def _stored_output(outputs: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    try:
        texts = [_as_json(output) for output in outputs]
    except (RecursionError, TypeError, ValueError) as error:
        kept = [_note(f"The outputs of this cell cannot be kept: {error}.")]
        return kept, json.dumps(kept)
    return outputs, _bounded([encodable(text) for text in texts])


def _as_json(output: Mapping[str, Any]) -> str:
    """Write an output as JSON; text that is too large is left as it is, for it is left out.

    To write a hundred megabytes takes long, and other threads wait meanwhile.
    """
    text = output.get("text")
    if isinstance(text, str) and len(text) > OUTPUT_BYTES:
        return text
    return json.dumps(output, ensure_ascii=False)


def _bounded(texts: Sequence[str]) -> str:
    """Join as many outputs as fit, in their order, and say how many do not."""
    sizes = [len(text.encode()) + 2 for text in texts]
    if sum(sizes) <= OUTPUT_BYTES:
        return f"[{', '.join(texts)}]"
    room, kept, left_out = OUTPUT_BYTES - _MARKER_BYTES, [], []
    for text, size in zip(texts, sizes, strict=True):
        if size <= room:
            room -= size
            kept.append(text)
        else:
            left_out.append(size)
    kept.append(json.dumps(_note(left_out_text(len(left_out), sum(left_out)))))
    return f"[{', '.join(kept)}]"


def _note(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stderr", "text": f"[blackroad-nb] {text}\n"}


def bare(run: Run) -> Run:
    """Return the run without outputs: those are in the history already."""
    return replace(run, cells=tuple(replace(cell, outputs=()) for cell in run.cells))


async def completed(store: Store, run: Run, outputs: bool = True) -> Run:
    """Give a stored run the outputs of its cells back, and cells it did not know of yet.

    A process that was killed leaves a run whose last cells are in the history alone.
    """
    query = HistoryQuery(run_id=run.id, limit=1000, outputs=outputs)
    cells = {cell.index: cell for cell in run.cells}
    async for execution in store.stream_history(query):
        if execution.cell_index is not None:
            cells[execution.cell_index] = _result(execution, execution.cell_index)
    return replace(run, cells=tuple(cells[index] for index in sorted(cells)))


def _result(execution: Execution, index: int) -> CellResult:
    return CellResult(
        index=index,
        cell_id=execution.cell_id,
        status=execution.status,
        execution_id=execution.id,
        execution_count=execution.execution_count,
        duration_ms=execution.duration_ms,
        error=execution.error,
        outputs=_outputs(execution.output),
        started_at=execution.started_at,
    )


async def with_outputs(store: Store, cell: CellResult) -> CellResult:
    """Return a cell of a run with its outputs, which are read unless it has them."""
    if cell.outputs or cell.execution_id is None:
        return cell
    stored = await store.output(cell.execution_id)
    return replace(cell, outputs=await asyncio.to_thread(_outputs, stored))


def _outputs(text: str | None) -> tuple[Mapping[str, Any], ...]:
    return tuple(json.loads(text)) if text else ()


def unfinished(cells: Sequence[CellResult]) -> tuple[CellResult, ...]:
    """Return the cells with `aborted` in place of what never came to an end."""
    return tuple(
        replace(cell, status=Status.ABORTED) if cell.status is Status.PENDING else cell
        for cell in cells
    )
