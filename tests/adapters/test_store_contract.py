"""What every store promises, held over a real SQLite file and over memory alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from blackroad_nb.adapters.memory import MemoryStore
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.history import HistoryQuery, Page
from blackroad_nb.core.kernel import RegisteredKernel
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.core.run import CellResult, Run, RunStatus
from blackroad_nb.core.usage import UsageQuery, UsageTotal
from blackroad_nb.errors import (
    InvalidInput,
    KernelExists,
    KernelNotFound,
    NotebookExists,
    NotebookNotFound,
    RunNotFound,
    StoreError,
)
from blackroad_nb.ports import Store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)

Scenario = Callable[[Store], Awaitable[None]]


@pytest.fixture(params=["sqlite", "memory"])
def holds(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scenario], None]:
    """Carry out a scenario on a fresh store."""

    async def carried_out(scenario: Scenario) -> None:
        store: Store
        if request.param == "sqlite":
            store = await SqliteStore.open(tmp_path / "notebooks.db")
        else:
            store = MemoryStore()
        try:
            await scenario(store)
        finally:
            await store.close()

    return lambda scenario: asyncio.run(carried_out(scenario))


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


# notebooks ---------------------------------------------------------------------


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
            await store.update_notebook(notebook(2, path="/data/1.ipynb"))
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
        await store.update_notebook(notebook(1, updated_at=NOON + DAY, cell_count=9))
        listed = (await store.list_notebooks()).items
        assert [n.id for n in listed] == ["notebook-1", "notebook-3", "notebook-2"]
        assert listed[0].cell_count == 9

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
            await store.update_notebook(notebook(1))
        with pytest.raises(NotebookNotFound):
            await store.delete_notebook("\ud800")
        with pytest.raises(RunNotFound):
            await store.get_run("none")
        with pytest.raises(KernelNotFound):
            await store.delete_kernel("none")

    holds(scenario)


# recording ---------------------------------------------------------------------


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


def test_recording_moves_a_notebook_forward_and_never_back(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1, updated_at=NOON))
        await store.record([execution(60, notebook_id="notebook-1")])
        assert (await store.get_notebook("notebook-1")).updated_at == NOON + 61 * SECOND
        await store.record([execution(1, notebook_id="notebook-1")])
        assert (await store.get_notebook("notebook-1")).updated_at == NOON + 61 * SECOND

    holds(scenario)


def test_a_row_outlives_the_registry_row_it_names(holds):
    async def scenario(store):
        await store.record([execution(1, notebook_id="gone", path="/data/x.ipynb")])
        (stored,) = (await store.history(HistoryQuery())).items
        assert (stored.notebook_id, stored.path) == (None, "/data/x.ipynb")

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


# history -----------------------------------------------------------------------


def test_filters_are_joined(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        await store.add_notebook(notebook(2))
        await store.record(
            [
                execution(
                    number,
                    notebook_id=f"notebook-{1 + number % 2}",
                    user=("ada", "bob", "Ada")[number % 3],
                    status=Status.ERROR if number % 4 == 0 else Status.SUCCESS,
                    run_id="run-1" if number < 6 else None,
                )
                for number in range(12)
            ]
        )
        assert await found(store, notebook_id="notebook-1") == ["10", "8", "6", "4", "2", "0"]
        assert await found(store, user="ada") == ["9", "6", "3", "0"]
        assert await found(store, user="Ada") == ["11", "8", "5", "2"]
        assert await found(store, status=Status.ERROR) == ["8", "4", "0"]
        assert await found(store, run_id="run-1", user="bob") == ["4", "1"]
        assert await found(store, notebook_id="notebook-1", user="ada") == ["6", "0"]
        assert await found(store, user="ada", status=Status.ERROR, text="print") == ["0"]
        assert await found(store, notebook_id="notebook-2", status=Status.ERROR) == []
        assert await found(store, user="") == []
        assert await found(store, user="ad") == []

    holds(scenario)


def test_times_are_half_open_and_of_the_start(holds):
    async def scenario(store):
        # Recorded out of order, over three days, one of them given in another zone.
        for number, at in enumerate((NOON + DAY, NOON, NOON + 2 * DAY, NOON + DAY)):
            await store.record([execution(number, started_at=at)])
        assert await found(store, since=NOON + DAY) == ["3", "2", "0"]
        assert await found(store, until=NOON + DAY) == ["1"]
        assert await found(store, since=NOON, until=NOON + DAY) == ["1"]
        assert await found(store, since=NOON + DAY, until=NOON + 2 * DAY, text="print") == [
            "3",
            "0",
        ]
        assert await found(store, since=NOON + 3 * DAY) == []
        assert await found(store, until=NOON - DAY) == []
        elsewhere = (NOON + DAY).astimezone(timezone(timedelta(hours=9)))
        assert await found(store, since=elsewhere) == ["3", "2", "0"]
        with pytest.raises(InvalidInput):
            await found(store, since=NOON.replace(tzinfo=None))

    holds(scenario)


def test_pages_stay_put_while_new_rows_arrive(holds):
    async def scenario(store):
        await store.record([execution(number) for number in range(10)])
        query = HistoryQuery(limit=4)
        first = await store.history(query)
        await store.record([execution(number) for number in range(10, 20)])
        second = await store.history(replace(query, cursor=int(first.next_cursor)))
        third = await store.history(replace(query, cursor=int(second.next_cursor)))
        assert ids(first) + ids(second) + ids(third) == [str(n) for n in range(9, -1, -1)]
        assert third.next_cursor is None
        exact = await store.history(HistoryQuery(limit=20))
        assert len(exact.items) == 20
        assert exact.next_cursor is None

    holds(scenario)


def test_a_stream_holds_every_match_and_nothing_newer(holds):
    async def scenario(store):
        for start in range(0, 2500, 500):
            await store.record(
                [execution(n, source=f"even{n % 2}") for n in range(start, start + 500)]
            )
        seen = []
        async for row in store.stream_history(HistoryQuery(text="even0", limit=1)):
            if not seen:
                await store.record([execution(9000, source="even0")])
            seen.append(row.id)
        assert seen == [f"execution-{n}" for n in range(2498, -1, -2)]

    holds(scenario)


SOURCES = {
    "0": "import numpy as np\nnp.mean(my_values)",
    "1": "df = pandas.read_csv('Größe.csv')",
    "2": "SELECT * FROM prices WHERE a <> 'b' OR NOT c",
    "3": "model.fit(X_train, y_train)  # naïve",
    "4": "print('日本語 текст')",
    "5": "x = 'quoted \"words\" here'",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("numpy", ["0"]),
        ("NumPy", ["0"]),
        ("numpy pandas", []),
        ("my_values", ["0"]),
        ("values my", ["0"]),
        ('"values my"', []),
        ('"my values"', ["0"]),
        ("np.mean(", ["0"]),
        ("read*", ["1"]),
        ("rea", []),
        ('"pandas rea*"', ["1"]),
        ("grosse", []),
        ("größe", ["1"]),
        ("grÖße.csv", ["1"]),
        ("naive", ["3"]),
        ("NOT", ["2"]),
        ("OR AND", []),
        ("c NOT prices", ["2"]),
        ("a <> 'b'", ["2"]),
        ("NEAR(a b)", []),
        ("source:numpy", []),
        ("日本語", ["4"]),
        ("日本*", ["4"]),
        ("те*", ["4"]),
        ('"quoted words"', ["5"]),
        ('unbalanced "quoted words', ["5"][:0]),
        ("keyerror", ["6"]),
        ('"keyerror needle"', ["6"]),
        ("fit needle", []),
        ("{source error} : numpy", []),
        ("numpy*\0", ["0"]),
        ("^numpy", ["0"]),
        ("-numpy", ["0"]),
        ("numpy; DROP TABLE executions", []),
    ],
)
def test_words_are_found_in_source_and_error(holds, text, expected):
    async def scenario(store):
        await store.record([execution(int(n), source=source) for n, source in SOURCES.items()])
        await store.record([execution(6, status=Status.ERROR, error="KeyError: 'needle'")])
        assert await found(store, text=text) == expected

    holds(scenario)


@pytest.mark.parametrize(
    "text", ["", "   ", "*", '""', "-- ;", "\N{PILE OF POO}", "a*", '"numpy as*"', "x " * 51]
)
def test_a_search_without_words_is_refused(holds, text):
    async def scenario(store):
        with pytest.raises(InvalidInput):
            await store.history(HistoryQuery(text=text))

    holds(scenario)


def test_filters_are_not_words(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        await store.record([execution(1, notebook_id="notebook-1", user="ada")])
        for hidden in ("ssuccess", "u616461", "success", "scope", "u61*"):
            assert await found(store, text=hidden) == []

    holds(scenario)


def test_deleting_history_is_by_age_and_leaves_what_runs(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        await store.record(
            [
                execution(1, started_at=NOON - DAY, notebook_id="notebook-1"),
                execution(2, started_at=NOON - DAY, path="/data/2.ipynb"),
                execution(3, started_at=NOON - DAY, status=Status.PENDING, finished_at=None),
                execution(4, started_at=NOON),
            ]
        )
        assert await store.delete_history(NOON, "notebook-1") == 1
        assert await found(store) == ["4", "3", "2"]
        assert await store.delete_history(NOON) == 1
        assert await store.delete_history(NOON) == 0
        assert await found(store, text="print") == ["4", "3"]
        assert sum(total.executions for total in await store.usage(UsageQuery())) == 3

    holds(scenario)


def test_what_was_deleted_is_neither_stored_nor_counted_again(holds):
    async def scenario(store):
        await store.record([execution(1)])
        await store.delete_history(NOON + DAY)
        assert await store.record([execution(1)]) == 0
        assert await found(store) == []
        assert await store.usage(UsageQuery()) == (UsageTotal("2026-03-01", 1, 1000),)

    holds(scenario)


def test_many_rows_are_deleted_whole(holds):
    async def scenario(store):
        await store.record([execution(n, path="/data/x.ipynb") for n in range(1700)])
        (registered,) = (await store.list_notebooks()).items
        assert await store.delete_history(NOON + 1200 * SECOND) == 1200
        await store.delete_notebook(registered.id)
        assert await found(store) == []

    holds(scenario)


# usage -------------------------------------------------------------------------


def test_usage_is_summed_over_the_window(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        moments = [NOON, NOON + 6 * 3600 * SECOND, NOON + DAY, NOON + 5 * DAY]
        await store.record(
            [
                execution(n, finished_at=at, user=("ada", None)[n % 2], notebook_id="notebook-1")
                for n, at in enumerate(moments)
            ]
        )

        async def total(**window):
            return sum(t.executions for t in await store.usage(UsageQuery(**window)))

        assert await store.usage(UsageQuery("day")) == (
            UsageTotal("2026-03-01", 2, 2000),
            UsageTotal("2026-03-02", 1, 1000),
            UsageTotal("2026-03-06", 1, 1000),
        )
        assert await store.usage(UsageQuery("user")) == (
            UsageTotal(None, 2, 2000),
            UsageTotal("ada", 2, 2000),
        )
        assert await store.usage(UsageQuery("notebook")) == (UsageTotal("/data/1.ipynb", 4, 4000),)
        assert await store.usage(UsageQuery("notebook", user="ada")) == (
            UsageTotal("/data/1.ipynb", 2, 2000),
        )
        assert await total(since=NOON, until=NOON) == 0
        assert await total(since=NOON + SECOND) == 3
        assert await total(until=NOON + DAY) == 2
        assert await total(since=NOON, until=NOON + SECOND) == 1
        assert await total(since=NOON + SECOND, until=NOON + 5 * DAY) == 2
        assert await total(since=NOON, until=NOON + 5 * DAY + SECOND) == 4
        assert await total(since=datetime.min.replace(tzinfo=UTC)) == 4
        assert await total(until=datetime.max.replace(tzinfo=UTC)) == 4
        with pytest.raises(InvalidInput):
            await store.usage(UsageQuery("moon"))

    holds(scenario)


def test_what_never_ran_costs_nothing(holds):
    async def scenario(store):
        await store.record(
            [
                execution(1, status=Status.ABORTED),
                execution(2, status=Status.PENDING, finished_at=None),
                execution(3, status=Status.KILLED, finished_at=None, duration_ms=None),
            ]
        )
        assert await store.usage(UsageQuery()) == (UsageTotal("2026-03-01", 1, 0),)

    holds(scenario)


# runs and kernels --------------------------------------------------------------


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
            CellResult(0, "a", Status.SUCCESS, "e-1", 1, 12, None, ({"output_type": "stream"},)),
            CellResult(1, None, Status.PENDING),
        ),
        started_at=NOON,
        owner="server-1",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_run_is_kept_and_replaced(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        await store.put_run(run("a"))
        assert await store.get_run("a") == run("a")
        ended = run("a", status=RunStatus.ERROR, finished_at=NOON + SECOND, message="No.")
        await store.put_run(ended)
        assert await store.list_runs() == (ended,)

    holds(scenario)


def test_runs_are_listed_newest_first_and_waiting_ones_before(holds):
    async def scenario(store):
        await store.add_notebook(notebook(1))
        await store.add_notebook(notebook(2))
        await store.put_run(run("b", started_at=NOON + SECOND))
        await store.put_run(run("a"))
        await store.put_run(run("waiting", started_at=None))
        await store.put_run(run("other", notebook_id="notebook-2", started_at=NOON - DAY))
        assert [r.id for r in await store.list_runs()] == ["waiting", "b", "a", "other"]
        assert [r.id for r in await store.list_runs("notebook-1", limit=2)] == ["waiting", "b"]

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
