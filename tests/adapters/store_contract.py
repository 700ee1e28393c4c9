"""Values that every store is given, and questions asked of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.history import HistoryQuery, Page
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.core.run import CellResult, Run, RunStatus
from blackroad_nb.ports import Store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def notebook(number: int, **changes: object) -> Notebook:
    made = Notebook(
        id=f"notebook-{number}",
        name=f"Notebook {number}",
        path=f"/data/{number}.ipynb",
        kernel="python3",
        created_at=NOON,
        updated_at=NOON + number * SECOND,
        cell_count=number,
        metadata={"tags": ["ünïcode", number], "deep": {"null": None}},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def execution(number: int, **changes: object) -> Execution:
    made = Execution(
        id=f"execution-{number}",
        status=Status.SUCCESS,
        source=f"print({number})",
        started_at=NOON + number * SECOND,
        finished_at=NOON + (number + 1) * SECOND,
        duration_ms=1000,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def ids(page: Page[Execution]) -> list[str]:
    return [e.id.removeprefix("execution-") for e in page.items]


async def found(store: Store, **filters: object) -> list[str]:
    return ids(await store.history(HistoryQuery(**filters)))  # type: ignore[arg-type]


def run(name: str, **changes: object) -> Run:
    made = Run(
        id=name,
        notebook_id="notebook-1",
        status=RunStatus.RUNNING,
        requested={"cell": 3, "parameters": {"ä": [1, None]}},
        path="/data/1.ipynb",
        kernel="python3",
        user="ada",
        cells=(
            CellResult(
                0, "a", Status.SUCCESS, "e-1", 1, 12, None, ({"output_type": "stream"},), NOON
            ),
            CellResult(1, None, Status.PENDING),
        ),
        started_at=NOON,
        owner="server-1",
    )
    return replace(made, **changes)  # type: ignore[arg-type]
