"""Deleted history gives its space back, and nothing of it stays readable in the file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from store_rows import NOON, fill_up, mounted, problems, row

from blackroad_nb.adapters.sqlite.opening import split_statements
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.core.history import HistoryQuery

SCHEMAS = Path(__file__).parent / "schemas"
LATER = NOON + timedelta(days=1)


async def fill(store: SqliteStore, count: int) -> None:
    for start in range(0, count, 100):
        await store.record(
            [
                row(
                    number,
                    path="/data/x.ipynb",
                    source=f"password = 'swordfish{number}'\n" + f"word{number} " * 200,
                    output=f'["codfish{number}"]' + " " * 20_000,
                )
                for number in range(start, start + 100)
            ]
        )


def held(path: Path) -> bytes:
    """Return all that the database's files hold."""
    return b"".join(
        file.read_bytes() for file in path.parent.glob(f"{path.name}*") if file.is_file()
    )


def test_deleted_history_is_gone_from_the_disk(tmp_path):
    path = tmp_path / "n.db"

    async def scenario() -> None:
        store = await SqliteStore.open(path)
        await fill(store, 600)
        await store.record([row("stays", source="needle", started_at=LATER)])
        full = path.stat().st_size
        assert b"swordfish" in held(path)
        assert await store.delete_history(LATER, HistoryQuery()) == 600
        assert path.stat().st_size < full / 10  # while it is open
        for text in (b"swordfish", b"codfish", b"word599"):
            assert text not in held(path)
        assert len((await store.history(HistoryQuery(text="eedl"))).items) == 1
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT word FROM words").fetchall() == [("needle",)]
            # No letters either that the words could be put together from.
            connection.execute(
                "CREATE VIRTUAL TABLE temp.v USING fts5vocab(main, words_letters, row)"
            )
            letters = {term for (term,) in connection.execute("SELECT term FROM temp.v")}
            assert letters == {"nee", "eed", "edl", "dle"}
        await store.record([row("again", source="swordfish", started_at=LATER)])
        assert len((await store.history(HistoryQuery(text="wordfis"))).items) == 1
        await store.close()

    asyncio.run(scenario())
    assert problems(path) == []


def test_a_deleted_notebook_gives_its_space_back(tmp_path):
    path = tmp_path / "n.db"

    async def scenario() -> None:
        store = await SqliteStore.open(path)
        await fill(store, 300)
        full = path.stat().st_size
        (notebook,) = (await store.list_notebooks()).items
        await store.delete_notebook(notebook.id)
        assert path.stat().st_size < full / 2
        await store.close()

    asyncio.run(scenario())
    assert problems(path) == []


def test_history_is_deleted_on_a_disk_that_is_nearly_full(tmp_path):
    with mounted(tmp_path / "disk", "32m") as disk:
        path = disk / "n.db"

        async def scenario() -> None:
            store = await SqliteStore.open(path)
            await fill(store, 600)
            fill_up(disk)
            os.truncate(disk / "ballast", (disk / "ballast").stat().st_size - 3 * 1024 * 1024)
            assert await store.delete_history(LATER, HistoryQuery()) == 600
            assert os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize > 10 * 1024 * 1024
            await store.close()

        asyncio.run(scenario())
        assert problems(path) == []


def test_a_file_of_the_first_schema_can_shrink_once_it_is_migrated(tmp_path):
    path = tmp_path / "n.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in split_statements((SCHEMAS / "1.sql").read_text("utf-8")):
            connection.execute(statement)

    async def scenario() -> None:
        store = await SqliteStore.open(path)
        await fill(store, 200)
        full = path.stat().st_size
        await store.delete_history(LATER, HistoryQuery())
        assert path.stat().st_size < full / 5
        await store.close()

    asyncio.run(scenario())
    assert problems(path) == []
