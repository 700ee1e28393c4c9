"""The store of a server: opened when it can be, and kept to the server's folder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from blackroad_nb.adapters.memory import MemoryStore
from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.server.opening import OpeningStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROW = Execution("e", Status.SUCCESS, "x", NOON, NOON, 1, path="/root/a.ipynb")


def test_rows_are_stored_whatever_becomes_of_who_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(executions: Sequence[Execution]) -> None:
        raise AttributeError(f"no kernel for {executions[0].id}")

    async def story() -> None:
        memory = MemoryStore()

        async def opened() -> MemoryStore:
            return memory

        store = OpeningStore(opened, "/root", lambda: "here:1")
        store.on_recorded = fail
        assert await store.record([ROW]) == 1
        assert len((await store.history(HistoryQuery())).items) == 1

    asyncio.run(story())
    assert "no kernel for e" in caplog.text
