"""The history's use cases, over memory."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import nbformat
import pytest

from blackroad_nb.adapters.memory import MemoryStore
from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.errors import InvalidInput, NotebookNotFound
from blackroad_nb.managers import history as history_module
from blackroad_nb.managers.history import HistoryManager

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def given_back(manager: HistoryManager, query: HistoryQuery, most: int | None = None) -> str:
    async def joined() -> str:
        return "".join([piece async for piece in manager.as_notebook(query, most)])

    return asyncio.run(joined())


def ran(number: int, **changes: object) -> Execution:
    values: dict[str, object] = {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "status": Status.SUCCESS,
        "source": f"x{number} = {number}",
        "started_at": NOON + number * MINUTE,
        "finished_at": NOON + number * MINUTE,
        "duration_ms": 5,
        "notebook_id": "n",
        "execution_count": number,
        **changes,
    }
    return Execution(**values)  # type: ignore[arg-type]


def recorded(rows: Sequence[Execution]) -> HistoryManager:
    store = MemoryStore()

    async def fill() -> None:
        await store.add_notebook(Notebook("n", "N", "/data/n.ipynb", "julia-1.11", NOON, NOON))
        await store.record(rows)

    asyncio.run(fill())
    return HistoryManager(store)


def test_what_ran_comes_back_as_a_valid_notebook_oldest_first():
    output = [{"output_type": "stream", "name": "stdout", "text": "hello\n"}]
    manager = recorded(
        [
            ran(1, output=json.dumps(output), run_id="run-1"),
            ran(2, status=Status.ERROR, error="KeyError: 'a: b'\nTraceback\n  line 1"),
            ran(3, status=Status.KILLED, error="The kernel died."),
        ]
    )
    content = given_back(manager, HistoryQuery(notebook_id="n"))
    notebook = nbformat.reads(content, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "julia-1.11"
    first, second, third = notebook.cells
    assert [c.source for c in notebook.cells] == ["x1 = 1", "x2 = 2", "x3 = 3"]
    assert (first.execution_count, first.outputs) == (1, output)
    assert first.metadata.blackroad == {
        "execution_id": "00000000-0000-4000-8000-000000000001",
        "status": "success",
        "started_at": "2026-03-01T12:01:00.000000+00:00",
        "finished_at": "2026-03-01T12:01:00.000000+00:00",
        "duration_ms": 5,
    }
    (error,) = second.outputs
    assert (error.ename, error.evalue) == ("KeyError", "'a: b'")
    assert error.traceback == ["Traceback", "  line 1"]
    assert (third.outputs[0].ename, third.outputs[0].evalue) == ("", "The kernel died.")


def test_what_ran_comes_back_as_a_script_that_runs():
    manager = recorded(
        [ran(1, user="eve\nimport os; os.abort()"), ran(2, source="if x1:\n    y = x1 + 1\n\n")]
    )
    script = asyncio.run(manager.as_script(HistoryQuery()))
    names: dict[str, object] = {}
    exec(compile(ast.parse(script), "history", "exec"), names)
    assert names["y"] == 2
    assert script.count("# %%") == 2
    assert "os.abort" in script.splitlines()[2]


def test_only_the_newest_come_back_when_so_many_are_wanted():
    manager = recorded([ran(n) for n in range(10)])
    content = given_back(manager, HistoryQuery(limit=1), most=3)
    assert [c["source"] for c in json.loads(content)["cells"]] == [
        [f"x{n} = {n}"] for n in (7, 8, 9)
    ]


def test_more_than_an_editor_opens_is_refused_but_streams(monkeypatch):
    monkeypatch.setattr(history_module, "MOST_CELLS", 5)
    manager = recorded([ran(n) for n in range(6)])
    with pytest.raises(InvalidInput, match="narrow the search"):
        given_back(manager, HistoryQuery())

    async def streamed() -> list[str]:
        return [e.source async for e in manager.stream(HistoryQuery())]

    assert len(asyncio.run(streamed())) == 6


def test_a_history_without_rows_is_an_empty_notebook():
    manager = recorded([])
    content = given_back(manager, HistoryQuery(user="nobody"))
    nbformat.validate(nbformat.reads(content, as_version=4))
    assert json.loads(content)["cells"] == []
    with pytest.raises(NotebookNotFound):
        given_back(manager, HistoryQuery(notebook_id="none"))


@pytest.mark.parametrize(
    "query",
    [
        HistoryQuery(limit=0),
        HistoryQuery(limit=1001),
        HistoryQuery(cursor=-1),
        HistoryQuery(cursor=2**63),
        HistoryQuery(text="..."),
        HistoryQuery(since=datetime(2026, 1, 1)),  # noqa: DTZ001
    ],
)
def test_a_query_that_cannot_be_answered_is_refused(query):
    manager = recorded([ran(1)])
    with pytest.raises(InvalidInput):
        asyncio.run(manager.search(query))
    if query.limit == 50:
        with pytest.raises(InvalidInput):
            asyncio.run(manager.as_script(query))


def test_deleting_is_by_age_and_asks_for_a_zone():
    manager = recorded([ran(n) for n in range(4)])
    with pytest.raises(InvalidInput):
        asyncio.run(manager.delete(datetime(2027, 1, 1)))  # noqa: DTZ001
    with pytest.raises(NotebookNotFound):
        asyncio.run(manager.delete(NOON, HistoryQuery(notebook_id="none")))
    assert asyncio.run(manager.delete(NOON + 2 * MINUTE, HistoryQuery(notebook_id="n"))) == 2
    assert len(asyncio.run(manager.search(HistoryQuery())).items) == 2
