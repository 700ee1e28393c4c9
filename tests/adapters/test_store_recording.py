"""What every store does with executions that come in."""

from __future__ import annotations

from dataclasses import replace

from store_contract import NOON, SECOND, execution, found, notebook

from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.core.usage import UsageQuery, UsageTotal


def test_an_execution_comes_back_as_it_went_in(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        whole = Execution(
            id="execution-1",
            status=Status.ERROR,
            source="raise ValueError('\N{SNOWMAN}')\n",
            started_at=NOON.replace(microsecond=1),
            finished_at=NOON.replace(microsecond=999_999),
            duration_ms=1,
            notebook_id="notebook-1",
            path="/data/1.ipynb",
            cell_index=0,
            cell_id="abc",
            execution_count=7,
            output='[{"output_type": "stream", "name": "stdout", "text": "\\u0000x"}]',
            error="ValueError: \N{SNOWMAN}\nTraceback",
            origin="run",
            run_id="run-1",
            kernel_id="kernel-1",
            user="ada",
            user_source="hub",
            server="here",
            queued_at=NOON - SECOND,
        )
        assert await store.record([whole]) == 1
        (stored,) = (await store.history(HistoryQuery())).items
        assert stored.seq is not None
        assert replace(stored, seq=None) == whole

    holds(scenario)


def test_a_row_is_kept_once(holds):
    async def scenario(store):
        assert await store.record([execution(1), execution(1), execution(2)]) == 2
        assert await store.record([execution(1, source="other")]) == 0
        assert await store.record([]) == 0
        assert [e.source for e in (await store.history(HistoryQuery())).items] == [
            "print(2)",
            "print(1)",
        ]

    holds(scenario)


def test_a_pending_row_is_finished_once_and_keeps_its_place(holds):
    async def scenario(store):
        begun = execution(
            1, status=Status.PENDING, finished_at=None, duration_ms=None, user="ada", cell_id="c"
        )
        assert await store.record([begun]) == 1
        assert await store.record([execution(2)]) == 1
        assert await store.record([begun]) == 0
        assert await store.usage(UsageQuery("user")) == (UsageTotal(None, 1, 1000),)
        ended = execution(1, status=Status.ERROR, error="KeyError: needle")
        assert await store.record([ended]) == 1
        assert await store.record([replace(ended, status=Status.SUCCESS)]) == 0
        newest, oldest = (await store.history(HistoryQuery())).items
        assert (newest.id, oldest.id) == ("execution-2", "execution-1")
        assert (oldest.status, oldest.error) == (Status.ERROR, "KeyError: needle")
        assert (oldest.user, oldest.cell_id) == ("ada", "c")
        assert await found(store, text="needle", user="ada", status=Status.ERROR) == ["1"]
        assert await found(store, status=Status.PENDING) == []
        assert await store.usage(UsageQuery("user")) == (
            UsageTotal(None, 1, 1000),
            UsageTotal("ada", 1, 1000),
        )

    holds(scenario)


def test_a_notebook_that_ran_unregistered_is_registered_by_its_path(holds):
    async def scenario(store):
        rows = [execution(n, path="/data/my model.ipynb") for n in range(3)]
        await store.record(rows)
        (registered,) = (await store.list_notebooks()).items
        assert (registered.name, registered.path) == ("my model", "/data/my model.ipynb")
        assert registered.updated_at == NOON + 3 * SECOND
        await store.record([execution(9, path="/data/my model.ipynb")])
        assert await found(store, notebook_id=registered.id) == ["9", "2", "1", "0"]

    holds(scenario)


def test_a_path_that_is_no_file_of_this_machine_is_kept_but_not_registered(holds):
    async def scenario(store):
        await store.record([execution(1, path="in/the/cloud.ipynb")])
        assert (await store.list_notebooks()).items == ()
        (stored,) = (await store.history(HistoryQuery())).items
        assert (stored.notebook_id, stored.path) == (None, "in/the/cloud.ipynb")

    holds(scenario)


def test_recording_moves_a_notebook_forward_and_never_back(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1, updated_at=NOON))
        await store.record([execution(60, notebook_id="notebook-1")])
        assert (await store.get_notebook("notebook-1")).updated_at == NOON + 61 * SECOND
        await store.record([execution(1, notebook_id="notebook-1")])
        assert (await store.get_notebook("notebook-1")).updated_at == NOON + 61 * SECOND

    holds(scenario)


def test_a_row_whose_notebook_went_meanwhile_registers_it_again(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        await store.delete_notebook("notebook-1")
        late = [execution(n, notebook_id="notebook-1", path="/data/1.ipynb") for n in range(2)]
        await store.record(late)
        await store.record([execution(2, notebook_id="notebook-1", path="/data/1.ipynb")])
        (again,) = (await store.list_notebooks()).items
        assert (again.id != "notebook-1", again.path) == (True, "/data/1.ipynb")
        assert {e.notebook_id for e in (await store.history(HistoryQuery())).items} == {again.id}

    holds(scenario)


def test_a_row_that_names_its_notebook_is_not_led_by_its_path(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        await store.record([execution(1, notebook_id="notebook-1", path="/data/moved.ipynb")])
        assert len((await store.list_notebooks()).items) == 1
        assert await found(store, notebook_id="notebook-1") == ["1"]

    holds(scenario)


def test_a_row_outlives_the_registry_row_it_names(holds):
    async def scenario(store):
        await store.record([execution(1, notebook_id="gone", path="x.ipynb")])
        (stored,) = (await store.history(HistoryQuery())).items
        assert (stored.notebook_id, stored.path) == (None, "x.ipynb")

    holds(scenario)


def test_values_that_no_column_can_hold_lose_no_row(holds):
    async def scenario(store):
        await store.record(
            [
                execution(1, source="half a pair: \ud83d", user="\udcff"),
                execution(2, source="nul\0in it", execution_count=10**30, cell_index=-(10**30)),
                execution(3, path="/data/\udcff.ipynb"),
            ]
        )
        assert await found(store) == ["3", "2", "1"]
        assert await found(store, text="pair") == ["1"]

    holds(scenario)
