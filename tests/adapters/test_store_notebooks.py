"""The registry as every store keeps it."""

from __future__ import annotations

import asyncio

import pytest
from store_contract import DAY, NOON, execution, found, notebook, run

from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.core.usage import UsageQuery, UsageTotal
from blackroad_nb.errors import (
    InvalidInput,
    KernelNotFound,
    NotebookExists,
    NotebookNotFound,
    RunNotFound,
    StoreError,
)


def test_a_notebook_comes_back_as_it_went_in(holds):
    async def scenario(store):
        strange = notebook(1, name='O\'Brien "x" \N{PILE OF POO}', path="/data/a\n'b'.ipynb")
        await store.add_notebook(strange)
        assert await store.get_notebook(strange.id) == strange
        assert await store.find_notebook(strange.path) == strange
        assert await store.find_notebook("/data/other.ipynb") is None

    holds(scenario)


def test_a_path_is_registered_once(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        with pytest.raises(NotebookExists):
            await store.add_notebook(notebook(2, path="/data/1.ipynb"))
        await store.add_notebook(notebook(2))
        with pytest.raises(NotebookExists):
            await store.move_notebook("notebook-2", "/data/1.ipynb", "1", NOON)
        assert (await store.get_notebook("notebook-2")).path == "/data/2.ipynb"

    holds(scenario)


def test_one_refused_notebook_takes_no_other_with_it(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        results = await asyncio.gather(
            store.add_notebook(notebook(2)),
            store.add_notebook(notebook(3, path="/data/1.ipynb")),
            store.record([execution(1, path="/data/1.ipynb")]),
            store.add_notebook(notebook(4)),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [type(None), NotebookExists, int, type(None)]
        listed = (await store.list_notebooks()).items
        assert {n.id for n in listed} == {"notebook-1", "notebook-2", "notebook-4"}
        assert await found(store) == ["1"]

    holds(scenario)


def test_notebooks_are_listed_by_their_latest_update(holds):
    async def scenario(store):
        for number in (1, 3, 2):
            await store.add_notebook(notebook(number))
        path = notebook(1).path
        await store.note_notebook("notebook-1", path, cell_count=9, at=NOON + DAY)
        await store.note_notebook("notebook-1", path, kernel="ir", at=NOON - DAY)
        await store.note_notebook("notebook-1", "/data/elsewhere.ipynb", cell_count=5)
        await store.note_notebook("nowhere", path, cell_count=5)
        listed = (await store.list_notebooks()).items
        assert [n.id for n in listed] == ["notebook-1", "notebook-3", "notebook-2"]
        noted = notebook(1, updated_at=NOON + DAY, cell_count=9, kernel="ir")
        assert listed[0] == noted

    holds(scenario)


def test_notebooks_of_one_moment_are_paged_without_gap_or_repeat(holds):
    async def scenario(store):
        for number in range(10):
            await store.add_notebook(notebook(number, updated_at=NOON))
        seen, cursor = [], None
        while True:
            page = await store.list_notebooks(limit=3, cursor=cursor)
            seen.extend(n.id for n in page.items)
            cursor = page.next_cursor
            if cursor is None:
                break
        assert sorted(seen) == [f"notebook-{number}" for number in range(10)]

    holds(scenario)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_no_page_has_an_impossible_size(holds, limit):
    async def scenario(store):
        with pytest.raises(InvalidInput):
            await store.list_notebooks(limit=limit)
        with pytest.raises(InvalidInput):
            await store.history(HistoryQuery(limit=limit))
        with pytest.raises(InvalidInput):
            await store.list_runs(limit=limit)

    holds(scenario)


def test_a_cursor_that_no_page_gave_is_refused(holds):
    async def scenario(store):
        with pytest.raises(InvalidInput):
            await store.list_notebooks(limit=5, cursor="nonsense")
        with pytest.raises(InvalidInput):
            await store.list_notebooks(limit=5, cursor="yesterday/x")
        with pytest.raises(InvalidInput):
            await store.history(HistoryQuery(cursor=-1))

    holds(scenario)


def test_deleting_a_notebook_takes_its_history_and_runs_but_not_what_was_used(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        await store.add_notebook(notebook(2))
        await store.put_run(run("a"))
        await store.record(
            [
                execution(1, notebook_id="notebook-1", source="needle"),
                execution(2, notebook_id="notebook-2", source="needle"),
            ]
        )
        await store.delete_notebook("notebook-1")
        assert await found(store, text="needle") == ["2"]
        assert await found(store) == ["2"]
        with pytest.raises(RunNotFound):
            await store.get_run("a")
        assert await store.usage(UsageQuery("day")) == (UsageTotal("2026-03-01", 2, 2000),)

    holds(scenario)


def test_what_is_not_there_is_said_to_be_missing(holds):
    async def scenario(store):
        with pytest.raises(NotebookNotFound):
            await store.get_notebook("x' OR 1=1 --")
        with pytest.raises(NotebookNotFound):
            await store.move_notebook("notebook-1", "/data/1.ipynb", "1", NOON)
        with pytest.raises(NotebookNotFound):
            await store.delete_notebook("\ud800")
        with pytest.raises(RunNotFound):
            await store.get_run("none")
        with pytest.raises(KernelNotFound):
            await store.delete_kernel("none")

    holds(scenario)


def test_a_closed_store_says_so(holds):
    async def scenario(store):
        await store.check()
        await store.close()
        with pytest.raises(StoreError):
            await store.check()
        with pytest.raises(StoreError):
            await store.record([execution(1)])
        with pytest.raises(StoreError):
            await store.history(HistoryQuery())
        await store.close()

    holds(scenario)
