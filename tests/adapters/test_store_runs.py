"""Runs and kernels as every store keeps them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_contract import DAY, NOON, SECOND, notebook, run

from blackroad_nb.core.execution import Status
from blackroad_nb.core.kernel import RegisteredKernel
from blackroad_nb.core.run import CellResult, RunStatus
from blackroad_nb.errors import InvalidInput, KernelExists, NotebookNotFound


def test_a_run_is_kept_and_replaced(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        await store.put_run(run("a"))
        assert await store.get_run("a") == run("a")
        ended = run(
            "a",
            status=RunStatus.ERROR,
            finished_at=NOON + SECOND,
            message="No.",
            code="kernel_failed",
        )
        await store.put_run(ended)
        assert (await store.list_runs()).items == (ended,)

    holds(scenario)


def test_runs_are_listed_newest_recorded_first_whenever_they_started(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        await store.add_notebook(notebook(2))
        await store.put_run(run("never", started_at=None))
        await store.put_run(run("b", started_at=NOON + SECOND))
        await store.put_run(run("a"))
        await store.put_run(run("other", notebook_id="notebook-2", started_at=NOON - DAY))
        await store.put_run(run("b", status=RunStatus.SUCCESS, started_at=NOON + DAY))
        assert [r.id for r in (await store.list_runs()).items] == ["other", "a", "b", "never"]
        assert [r.id for r in (await store.list_runs("notebook-1", limit=2)).items] == ["a", "b"]

    holds(scenario)


@pytest.mark.parametrize("notebook_id", [None, "notebook-1"])
def test_pages_of_runs_join_without_gap_whatever_happens_between(holds, notebook_id):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        await store.add_notebook(notebook(2))
        await store.put_run(run("old", started_at=None))
        await store.put_run(run("other", notebook_id="notebook-2"))
        for number in range(4):
            await store.put_run(run(f"run-{number}"))
        first = await store.list_runs(notebook_id, 2)
        assert [r.id for r in first.items] == ["run-3", "run-2"]
        await store.put_run(run("late"))
        await store.put_run(run("run-2", status=RunStatus.SUCCESS, started_at=NOON + DAY))
        await store.delete_notebook("notebook-2")
        second = await store.list_runs(notebook_id, 2, int(first.next_cursor))
        assert [r.id for r in second.items] == ["run-1", "run-0"]
        assert second.next_cursor == str(second.items[-1].seq)
        assert second.items[-1].seq == (await store.get_run("run-0")).seq
        third = await store.list_runs(notebook_id, 2, int(second.next_cursor))
        assert ([r.id for r in third.items], third.next_cursor) == (["old"], None)
        for bad in (-1, 2**63, "5"):
            with pytest.raises(InvalidInput):
                await store.list_runs(notebook_id, 2, bad)

    holds(scenario)


def test_a_run_needs_its_notebook(holds):
    async def scenario(store):
        with pytest.raises(NotebookNotFound):
            await store.put_run(run("a"))

    holds(scenario)


def test_a_run_with_values_that_json_has_no_word_for_is_kept(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        deep: list[object] = []
        for _ in range(5000):
            deep = [deep]
        output = {"output_type": "display_data", "data": {"application/json": deep}}
        cells = (CellResult(0, "a", Status.SUCCESS, outputs=(output,)),)
        await store.put_run(run("deep", cells=cells))
        await store.put_run(run("nan", requested={"parameters": {"x": float("nan")}}))
        assert (await store.get_run("deep")).cells[0].cell_id == "a"
        assert (await store.get_run("nan")).requested["parameters"].keys() == {"x"}

    holds(scenario)


def test_kernels_are_kept_by_name(holds):
    async def scenario(store):
        julia = RegisteredKernel("1", "julia", "julia", "Julia 'x'", ("julia", "-i", "{f}"), NOON)
        bash = RegisteredKernel("2", "bash", "bash", "Bash", ("bash",), NOON)
        await store.add_kernel(julia)
        await store.add_kernel(bash)
        with pytest.raises(KernelExists):
            await store.add_kernel(replace(bash, id="3"))
        assert await store.list_kernels() == (bash, julia)
        await store.delete_kernel("bash")
        assert await store.list_kernels() == (julia,)

    holds(scenario)
