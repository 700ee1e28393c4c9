"""Finding, paging, streaming and deleting what every store keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from store_contract import DAY, NOON, SECOND, execution, found, ids, notebook

from blackroad_nb.core.execution import Status
from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.core.usage import UsageQuery, UsageTotal
from blackroad_nb.errors import InvalidInput


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


def test_a_start_that_moves_to_another_day_is_found_there(holds):
    async def scenario(store):
        begun = execution(1, status=Status.PENDING, started_at=NOON, finished_at=None)
        await store.record([begun])
        await store.record([execution(1, started_at=NOON + DAY)])
        assert await found(store, since=NOON + DAY) == ["1"]
        assert await found(store, until=NOON + DAY) == []

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
    "7": "frame = DataFrame(httpServer)  # 東京都 大阪",
    "8": "価格price = '텍스트' + '😀→'  # ｶﾅ データ",
    "9": "данный = расчёт(ανάλυση)  # Nguyễn",
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
        ("rea", ["1"]),
        ("ead", ["1"]),
        ("ea", []),
        ('"rea"', []),
        ("ead*", []),
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
        ("日", ["4"]),
        ("本語", ["4"]),
        ("語日", []),
        ("東京", ["7"]),
        ("京都", ["7"]),
        ("都大", []),
        ("東 阪", ["7"]),
        ("텍스", ["8"]),
        ("ータ", ["8"]),
        ("価格", ["8"]),
        ("価格price", ["8"]),
        ("price", ["8", "2"]),
        ("価格pric", ["8"]),
        ("rößE", ["1"]),
        ("екс", ["4"]),
        ("😀", ["8"]),
        ("😀 텍", ["8"]),
        ("→", ["8"]),
        ("😁", []),
        ("Server", ["7"]),
        ("data", ["7"]),
        ("DATAFRAME", ["7"]),
        ("datafr*", ["7"]),
        ("serv", ["7"]),
        ("serv*", []),
        ("ataframe", ["7"]),
        ("ame serve", ["7"]),
        ("umpy eed", []),
        ("те*", ["4"]),
        ("данный", ["9"]),
        ("аннЫЙ", ["9"]),
        ("данн*", ["9"]),
        ("асчё", ["9"]),
        ("асче", []),
        ("λυση", ["9"]),
        ("ανάλ*", ["9"]),
        ("uyễn", ["9"]),
        ("nguy*", ["9"]),
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
    ("text", "expected"),
    [
        ("abcd" * 16, ["1"]),
        ("bcda", ["1"]),
        ("xyz" * 30, ["2"]),
        ("yzx", []),
        ("123456789", ["3"]),
        ("1234", []),
        ("1234*", ["3"]),
        ("v12", ["4"]),
        ("12x", ["4"]),
        ("x34*", []),
    ],
)
def test_numbers_and_long_data_are_found_whole(holds, text, expected):
    async def scenario(store):
        sources = ["abcd" * 16, "xyz" * 30, "n = 123456789", "v12x34"]
        await store.record([execution(n, source=text) for n, text in enumerate(sources, 1)])
        assert await found(store, text=text) == expected

    holds(scenario)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name", 602),
        ("NAME*", 2),
        ("some*", 600),
        ("naïve some", 1),
        ("aiv some*", 1),
        ("ame eedl", 1),
        ("name some none", 0),
        ('"x some*"', 300),
        ('"name"', 1),
    ],
)
def test_a_part_that_very_many_words_hold_is_found_everywhere(holds, text, expected):
    """No cut at some number of words: what is found is complete."""

    async def scenario(store):
        rows = [execution(n, source=f"{'xy'[n % 2]} some{n:03}Name") for n in range(600)]
        rows[7] = replace(rows[7], source="sóme7NAME naive", status=Status.ERROR, error="needle")
        await store.record([*rows, execution(600, source="námes"), execution(601, source="name")])
        query = HistoryQuery(text=text, limit=7)
        whole = [e.id async for e in store.stream_history(query)]
        assert len(whole) == expected
        assert ids(await store.history(query)) == [i.removeprefix("execution-") for i in whole[:7]]

    holds(scenario)


@pytest.mark.parametrize(
    "text", ["", "   ", "*", '""', "-- ;", "->", "{", "a*", '"numpy as*"', "x " * 51]
)
def test_a_search_without_words_is_refused(holds, text):
    async def scenario(store):
        with pytest.raises(InvalidInput):
            await store.history(HistoryQuery(text=text))

    holds(scenario)


@pytest.mark.parametrize("limit", [1, 7, 50])
@pytest.mark.parametrize("text", ["nump*", "NUMPY*", "nump* impo*", "nump* x", "print numbe*"])
def test_pages_of_a_long_prefix_are_those_of_the_whole_search(holds, text, limit):
    """Common, rare, in one column or the other, at a word's start only, with accents."""

    async def scenario(store):
        kinds = ["import numpy", "my_numpy = 1", "xnumpy", "number", "print(number)", "num.py"]
        rows = [execution(n, source=f"{kinds[n % 6]} # x", user="ada") for n in range(300)]
        rows[40] = replace(rows[40], source="nümpy impört")
        rows[60] = replace(rows[60], source="y", status=Status.ERROR, error="no numpy: import")
        rows[80] = replace(rows[80], source="日nump numpx9 import", status=Status.ERROR)
        await store.record(rows)
        for filters in ({}, {"user": "ada", "status": Status.ERROR}):
            query = HistoryQuery(text=text, limit=limit, **filters)
            whole = [e.id async for e in store.stream_history(query)]
            paged = []
            while True:
                page = await store.history(query)
                paged += [e.id for e in page.items]
                if page.next_cursor is None:
                    break
                query = replace(query, cursor=int(page.next_cursor))
            assert paged == whole
        if text == "nump*":
            assert paged == ["execution-80", "execution-60"]

    holds(scenario)


def test_outputs_are_left_out_on_request_and_end_a_page(holds):
    async def scenario(store):
        output = '[{"output_type":"stream","name":"stdout","text":"' + "x" * 100_000 + '"}]'
        await store.record([execution(n, output=output) for n in range(5)])
        for text in (None, "print"):
            plain = await store.history(HistoryQuery(text=text, outputs=False))
            assert [e.output for e in plain.items] == [None] * 5
            streamed = store.stream_history(HistoryQuery(text=text, outputs=False))
            assert [e.output async for e in streamed] == [None] * 5
            first = await store.history(HistoryQuery(text=text), 150_000)
            assert ids(first) == ["4", "3"]
            query = HistoryQuery(text=text, cursor=int(first.next_cursor), limit=3)
            assert ids(await store.history(query, 10**9)) == ["2", "1", "0"]
            short = await store.history(replace(query, limit=1), 10**9)
            assert (ids(short), short.next_cursor) == (["2"], "3")
        assert await store.output("execution-3") == output
        assert await store.output("nothing") is None

    holds(scenario)


def test_folders_limit_rows_to_those_below(holds):
    async def scenario(store):
        places = ["/data/team/a.ipynb", "/data/team-b/a.ipynb", "/data/TEAM/a.ipynb"]
        places += ["/data/team/deep/b.ipynb", None, None, "/x/data/team/a.ipynb"]
        rows = [
            execution(n, path=path, server=f"server-{n}", user="ada")
            for n, path in enumerate(places)
        ]
        await store.record(rows)
        for filters in ({}, {"text": "print"}, {"user": "ada"}, {"status": Status.SUCCESS}):
            assert await found(store, root="/data/team", **filters) == ["3", "0"]
            assert await found(store, root="/data/team/", **filters) == ["3", "0"]
            own = await found(store, root="/data/team", server="server-4", **filters)
            assert own == ["4", "3", "0"]
            assert await found(store, root="/nowhere", **filters) == []
            everywhere = await found(store, root="/", **filters)
            assert everywhere == ["6", "3", "2", "1", "0"]

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
        assert await store.delete_history(NOON, HistoryQuery(notebook_id="notebook-1")) == 1
        assert await found(store) == ["4", "3", "2"]
        assert await store.delete_history(NOON, HistoryQuery()) == 1
        assert await store.delete_history(NOON, HistoryQuery()) == 0
        assert await found(store, text="print") == ["4", "3"]
        assert sum(total.executions for total in await store.usage(UsageQuery())) == 3

    holds(scenario)


def test_what_was_deleted_is_neither_stored_nor_counted_again(holds):
    async def scenario(store):
        await store.record([execution(1)])
        await store.delete_history(NOON + DAY, HistoryQuery())
        assert await store.record([execution(1)]) == 0
        assert await found(store) == []
        assert await store.usage(UsageQuery()) == (UsageTotal("2026-03-01", 1, 1000),)

    holds(scenario)


def test_many_rows_are_deleted_whole(holds):
    async def scenario(store):
        await store.record([execution(n, path="/data/x.ipynb") for n in range(1700)])
        (registered,) = (await store.list_notebooks()).items
        assert await store.delete_history(NOON + 1200 * SECOND, HistoryQuery()) == 1200
        await store.delete_notebook(registered.id)
        assert await found(store) == []

    holds(scenario)
