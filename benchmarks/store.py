"""The store by itself: how fast rows become durable, how fast they are found again.

    python benchmarks/store.py [--rows N] [--recorded N] [--rounds N] [--repeats N]

Recording is compared, in alternating rounds on the same disk and at the same
durability (WAL, synchronous FULL), with aiosqlite committing row by row: into the
same schema, and into one plain table without an index. Searching is measured over
N rows of code with the uneven vocabulary that real code has, one row in a hundred with
a comment in Japanese. Kinds of search that the package refuses are named as refused.
Each question is asked again and again with other words; how many rows it finds is told,
because a question that finds nothing is no measure for one that does.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import aiosqlite
from report import Report, Result, caption, parser, ratios, spread, table

from blackroad_nb.adapters.sqlite import rows
from blackroad_nb.adapters.sqlite.connection import connect
from blackroad_nb.adapters.sqlite.opening import prepare
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.adapters.sqlite.writes import record_statement
from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.core.usage import UsageQuery
from blackroad_nb.errors import BlackRoadError

T = TypeVar("T")

BATCH = 100  # what the recorder commits together when it is busy
START = datetime(2026, 1, 1, tzinfo=UTC)
NOTEBOOKS = 500
USERS = 25
WORDS = 30_000
MADE_UP = re.compile(r"\b[a-z]{7}\b")
PACKAGES = ("aiosqlite",)
# Characters of notes: a search for a part of such a text has no spaces to go by.
JAPANESE = "日本語円相場売上高計算結果平均株価指数東京市場分析表示"
PLAIN = """CREATE TABLE executions (
    seq INTEGER PRIMARY KEY, id TEXT, notebook_id TEXT, cell_index INTEGER, source TEXT,
    output TEXT, status TEXT, started_at TEXT, finished_at TEXT, duration_ms INTEGER, path TEXT,
    cell_id TEXT, execution_count INTEGER, error TEXT, origin TEXT, run_id TEXT, kernel_id TEXT,
    user TEXT, user_source TEXT, server TEXT, queued_at TEXT, process TEXT)"""
PLAIN_COLUMNS = [
    "id", "notebook_id", "cell_index", "source", "output", "status", "started_at", "finished_at",
    "duration_ms", "path", "cell_id", "execution_count", "error", "origin", "run_id", "kernel_id",
    "user", "user_source", "server", "queued_at", "process",
]  # fmt: skip
PLAIN_INSERT = (
    f"INSERT INTO executions ({', '.join(PLAIN_COLUMNS)})"
    f" VALUES ({', '.join('?' * len(PLAIN_COLUMNS))})"
)


def made_up(count: int, seed: int = 1) -> Iterator[Execution]:
    """Yield executions of a busy year: a few notebooks and words make up most of it."""
    chance = random.Random(seed)
    words = [f"{chance.choice('abcdefghijklmnoprstw')}{_syllables(chance)}" for _ in range(WORDS)]
    weights = list(accumulate(1 / (rank + 1) for rank in range(WORDS)))
    for number in range(count):
        picked = chance.choices(words, cum_weights=weights, k=18)
        lines = ["{} = {}.{}({}, {})  # {}".format(*picked[n : n + 6]) for n in (0, 6, 12)]
        first = ["import numpy as np"]
        if number % 100 == 0:
            first.append("# " + "".join(chance.choices(JAPANESE, k=12)))
        if number % 10 == 0:
            first.append(f"frame = pd.DataFrame({picked[0]})")
        if number == 0:
            first.append(" ".join(f"feature{n}" for n in range(300)))
        failed = chance.random() < 0.05
        started = START + timedelta(days=365) * (number / count)
        # Somebody works on one notebook for a while, mostly on one of a favoured few.
        if number % 40 == 0:
            notebook = min(int(chance.paretovariate(0.7)), NOTEBOOKS)
        yield Execution(
            id=str(UUID(int=chance.getrandbits(128), version=4)),
            status=Status.ERROR if failed else Status.SUCCESS,
            source="\n".join(first + lines),
            started_at=started,
            finished_at=started + timedelta(milliseconds=42),
            duration_ms=42,
            path=f"/data/notebook-{notebook}.ipynb",
            cell_id=f"{chance.getrandbits(32):08x}",
            execution_count=number % 200,
            error=f"KeyError: '{words[number % WORDS]}'\nTraceback\n  {lines[0]}"
            if failed
            else None,
            kernel_id="8a6c2c1e-55a1-4c3e-9f6b-0b6b9d0f2f11",
            user=f"user-{notebook % USERS}",
            user_source="hub",
            server="bench",
        )


def _syllables(chance: random.Random) -> str:
    return "".join(chance.choice("aeiou") + chance.choice("lmnrst") for _ in range(3))


async def through_record(path: Path, executions: list[Execution]) -> float:
    """Return rows a second of the store, in the recorder's batches."""
    store = await SqliteStore.open(path)
    try:
        begun = time.perf_counter()
        for start in range(0, len(executions), BATCH):
            await store.record(executions[start : start + BATCH])
        return len(executions) / (time.perf_counter() - begun)
    finally:
        await store.close()


async def row_by_row(
    path: Path, sql: str, columns: Sequence[str], executions: list[Execution]
) -> float:
    """Return rows a second of aiosqlite with a commit after each row."""
    made = [rows.execution_values(execution, "bench") for execution in executions]
    values = [tuple(row[column] for column in columns) for row in made]
    async with aiosqlite.connect(path) as connection:
        await connection.execute("PRAGMA synchronous = FULL")
        begun = time.perf_counter()
        for row in values:
            await connection.execute(sql, row)
            await connection.commit()
        return len(values) / (time.perf_counter() - begun)


async def recording(folder: Path, count: int, rounds: int) -> Result:
    """Measure how many rows a second become durable, against a commit for each."""
    measured: Result = {"record": [], "schema": [], "plain": []}
    for number in range(rounds):
        executions = list(made_up(count, seed=number))
        few = executions[: max(count // 10, 200)]  # row by row is slow, and its rate is steady
        measured["record"].append(await through_record(folder / f"record-{number}", executions))
        prepare(folder / f"schema-{number}")
        columns = tuple(rows.execution_values(few[0], ""))
        sql, place = record_statement(columns, 1), folder / f"schema-{number}"
        measured["schema"].append(await row_by_row(place, sql, columns, few))
        with closing(connect(folder / f"plain-{number}", "rwc")) as plain:
            plain.execute("PRAGMA journal_mode = WAL")
            plain.execute(PLAIN)
        place = folder / f"plain-{number}"
        measured["plain"].append(await row_by_row(place, PLAIN_INSERT, PLAIN_COLUMNS, few))
    return measured


async def fill(path: Path, count: int) -> float:
    """Record `count` rows, unless they are there; returns rows a second."""
    store = await SqliteStore.open(path)
    try:
        if (await store.history(HistoryQuery(limit=1))).items:
            return 0.0
        begun = time.perf_counter()
        batch: list[Execution] = []
        for execution in made_up(count):
            batch.append(execution)
            if len(batch) == 1000:
                await store.record(batch)
                batch.clear()
        await store.record(batch)
        return count / (time.perf_counter() - begun)
    finally:
        await store.close()


Question = Callable[[], Awaitable[object]]


async def timed(ask: Question, repeats: int) -> Result:
    """Return the milliseconds of each time the question is asked, and the rows found."""
    took, found = [], []
    for _ in range(repeats):
        begun = time.perf_counter()
        try:
            page = await ask()
        except BlackRoadError as error:
            return {"refused": error.message}
        took.append((time.perf_counter() - begun) * 1000)
        found.append(len(getattr(page, "items", ())))
    return {"ms": took, "rows": statistics.mean(found)}


async def searching(path: Path, repeats: int) -> Result:
    """Measure how long questions take."""
    store = await SqliteStore.open(path)
    chance = random.Random(7)
    sample = (await store.history(HistoryQuery(limit=1000))).items
    ids = [execution.notebook_id for execution in sample]
    users = [execution.user for execution in sample]
    some = [chance.choice(MADE_UP.findall(execution.source)) for execution in sample]

    def ask(**filters: Callable[[], object]) -> Question:
        return lambda: store.history(
            HistoryQuery(**{name: value() for name, value in filters.items()})  # type: ignore[arg-type]
        )

    def one(values: Sequence[T]) -> Callable[[], T]:
        return lambda: chance.choice(values)

    def same(value: T) -> Callable[[], T]:
        return lambda: value

    def starts(length: int) -> Callable[[], str]:
        return lambda: chance.choice(some)[:length] + "*"

    def part(length: int) -> Callable[[], str]:
        """Cut characters out of a word, not from its beginning."""
        return lambda: chance.choice(some)[1 : length + 1]

    def japanese(length: int) -> Callable[[], str]:
        return lambda: "".join(chance.choices(JAPANESE, k=length))

    numpy, march, april = same("numpy"), START + timedelta(days=59), START + timedelta(days=90)
    autumn = START + timedelta(days=280, hours=7)
    questions = {
        "last 50 of a notebook": ask(notebook_id=one(ids)),
        "last 50 of a user": ask(user=one(users)),
        "last 50 errors of a notebook": ask(notebook_id=one(ids), status=same(Status.ERROR)),
        "a word, rare to medium": ask(text=one(some)),
        "a word in every row": ask(text=numpy),
        "a phrase in every row": ask(text=same('"import numpy as"')),
        "a word in every row, of a user": ask(text=numpy, user=one(users)),
        "a word in every row, of nobody": ask(text=numpy, user=same("nobody")),
        "a word in every row, in a notebook's errors": ask(
            text=numpy, notebook_id=one(ids), status=same(Status.ERROR)
        ),
        "a word in every row, in March": ask(text=numpy, since=same(march), until=same(april)),
        "two words, seldom together": ask(text=lambda: " ".join(chance.choices(some, k=2))),
        "prefix of 3 letters": ask(text=starts(3)),
        "prefix of 4 letters": ask(text=starts(4)),
        "prefix of a word in every row, `num*`": ask(text=same("num*")),
        "prefix of a word in every row, `nump*`": ask(text=same("nump*")),
        "part of a name in a tenth of the rows, `Frame` of `DataFrame`": ask(text=same("Frame")),
        "1 character from the middle of a word": ask(text=part(1)),
        "2 characters from the middle of a word": ask(text=part(2)),
        "3 characters from the middle of a word": ask(text=part(3)),
        "5 characters from the middle of a word": ask(text=part(5)),
        "4 characters from the middles of two words each": ask(
            text=lambda: " ".join(word[1:5] for word in chance.choices(some, k=2))
        ),
        "beginning of 300 names in the oldest row, `feature`": ask(text=same("feature")),
        "end of two of 300 names in the oldest row, `ature29`": ask(text=same("ature29")),
        "1 character of a Japanese text": ask(text=japanese(1)),
        "2 characters of a Japanese text": ask(text=japanese(2)),
        "3 characters of a Japanese text": ask(text=japanese(3)),
        "a symbol that nobody used": ask(text=same("\N{PILE OF POO}")),
        "last 50 below a folder": ask(root=same("/data"), server=same("bench")),
        "a word in every row, below a folder": ask(
            text=numpy, root=same("/data"), server=same("bench")
        ),
        "a word in every row, below an empty folder": ask(
            text=numpy, root=same("/data/none"), server=same("none")
        ),
        "no such word": ask(text=same("zzzzzz")),
        "usage by user": lambda: store.usage(UsageQuery("user")),
        "usage by day": lambda: store.usage(UsageQuery("day")),
        "usage by notebook since autumn, not at midnight": lambda: store.usage(
            UsageQuery("notebook", since=autumn)
        ),
    }
    measured = {}
    for name, question in questions.items():
        measured[name] = await timed(question, repeats)
        print(name, file=sys.stderr)
    await store.close()
    return measured


def tables(result: Result) -> str:
    """Return the rates of recording, then the times of each question."""
    found, settings = result["found"], result["settings"]
    names = {
        "record": f"`record()`, batches of {BATCH}: indexed, metered, searchable",
        "schema": "aiosqlite, commit per row, same schema",
        "plain": "aiosqlite, commit per row, one plain table without index",
    }
    rates, targets = [], {"schema": ">= 3x"}
    for key, name in names.items() if found["recording"]["record"] else ():
        low, middle, high = spread(ratios(found["recording"]["record"], found["recording"][key]))
        faster = [f"{middle:.1f}x", f"{low:.1f} to {high:.1f}"] if key != "record" else ["", ""]
        rate = f"{statistics.median(found['recording'][key]):,.0f}"
        rates.append([name, rate, *faster, targets.get(key, "")])
    first = table(
        ["durable rows a second", "rows/s", "`record()` is faster by", "middle half", "our target"],
        rates,
    )
    rows = []
    for name, asked in found["searching"].items():
        if "refused" in asked:
            rows.append([name, "refused", "", ""])
            continue
        p99 = statistics.quantiles(asked["ms"], n=100)[98]
        few = f"{asked['rows']:.0f}" if not name.startswith("usage") else ""
        rows.append([name, few, f"{statistics.median(asked['ms']):.2f}", f"{p99:.2f}"])
    second = table(
        [f"question over {settings['rows']:,} rows", "rows found", "p50 ms", "p99 ms"], rows
    )
    size = (
        f"The file takes {found['bytes'] / settings['rows']:,.0f} bytes a row, of which the"
        f" source is {found['source_bytes'] / settings['rows']:,.0f}. Our targets: p99 below 2 ms"
        " for the last 50 of a notebook, below 50 ms for full text."
    )
    return f"{first}\n\n{second}\n\n{size}\n\n{caption(result)}"


async def measure(chosen: argparse.Namespace, folder: Path) -> Result:
    database = chosen.database or folder / "searched.db"
    found: Result = {"recording": await recording(folder, chosen.recorded, chosen.rounds)}
    found["filled_rate"] = await fill(database, chosen.rows)  # 0 when the rows were there
    found["searching"] = await searching(database, chosen.repeats)
    with closing(connect(database, "ro")) as connection:
        query = "SELECT sum(length(CAST(source AS BLOB))) FROM executions"
        (found["source_bytes"],) = connection.execute(query).fetchone()
    found["bytes"] = database.stat().st_size
    return found


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--rows", type=int, default=1_000_000, help="rows to search in")
    own.add_argument("--recorded", type=int, default=20_000, help="rows a recording round")
    own.add_argument("--rounds", type=int, default=5)
    own.add_argument("--repeats", type=int, default=300, help="times each question is asked")
    own.add_argument("--database", type=Path, help="keep the rows here, and use them again")
    chosen = own.parse_args()
    report = Report("store", chosen, PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(chosen, Path(folder)))
    print(tables(report.save(found)))


if __name__ == "__main__":
    main()
