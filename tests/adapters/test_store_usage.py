"""What every store says was used."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from store_contract import DAY, NOON, SECOND, execution, notebook

from blackroad_nb.core.execution import Status
from blackroad_nb.core.usage import UsageQuery, UsageTotal
from blackroad_nb.errors import InvalidInput


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
        assert await total(root="/data") == await total(root="/") == 4
        assert await total(root="/data", user="ada", since=NOON + SECOND) == 1
        assert await total(root="/dat") == await total(root="/data/1.ipynb") == 0
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
