"""What the adapters' tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from blackroad_nb.adapters.memory import MemoryStore
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.ports import Store

Scenario = Callable[[Store], Awaitable[None]]


@pytest.fixture(params=["sqlite", "memory"])
def holds(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scenario], None]:
    """Carry out a scenario on a fresh store of each kind: their common contract."""

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
