"""The history over REST: searched, paged, streamed, given back, deleted."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rest_client import Api
from tornado.simple_httpclient import HTTPStreamClosedError

from blackroad_nb.core.execution import Execution, Status, execution_id
from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.core.run import Run, RunStatus
from blackroad_nb.errors import StoreError

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
Recorded = list[Execution]


@pytest.fixture
def recorded(app: Any, jp_asyncio_loop: Any, jp_root_dir: Path) -> Recorded:
    """Six executions of two users, a minute apart, the last one failed."""
    rows = [
        Execution(
            id=execution_id("kernel", str(number)),
            status=Status.ERROR if number == 5 else Status.SUCCESS,
            source=f"value = {number}\nprint('étude {number}')",
            started_at=NOON + timedelta(minutes=number),
            finished_at=NOON + timedelta(minutes=number, seconds=1),
            duration_ms=1000,
            path=str(jp_root_dir / "study.ipynb"),
            user=["ada", "bob"][number % 2],
            error="ZeroDivisionError: division by zero" if number == 5 else None,
        )
        for number in range(6)
    ]
    jp_asyncio_loop.run_until_complete(app.parts.store.record(rows))
    return rows


def numbers(items: list[dict[str, Any]]) -> list[int]:
    return [int(item["source"].split()[2]) for item in items]


async def test_the_newest_come_first_and_pages_hold_each_once(api: Api, recorded: Recorded) -> None:
    seen: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api("GET", "history", limit="4", **cursor)).json
        seen += numbers(page["items"])
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"user": "ada"}, [4, 2, 0]),
        ({"status": "error"}, [5]),
        ({"q": "division"}, [5]),
        ({"q": "etude"}, [5, 4, 3, 2, 1, 0]),
        ({"since": "2026-11-01T12:03:00Z"}, [5, 4, 3]),
        ({"since": "2026-11-01T12:03"}, [5, 4, 3]),
        ({"until": "2026-11-01"}, []),
        ({"since": "1000w", "until": "2026-11-02"}, [5, 4, 3, 2, 1, 0]),
        ({"until": "2026-11-01T13:02:00+01:00"}, [1, 0]),
        ({"since": "2026-11-01T12:01:00Z", "until": "2026-11-01T12:04:00Z", "user": "bob"}, [3, 1]),
        ({"run_id": "none"}, []),
    ],
)
async def test_filters(
    api: Api, recorded: Recorded, filters: dict[str, str], found: list[int]
) -> None:
    assert numbers((await api("GET", "history", **filters)).json["items"]) == found


async def test_csv_and_json_lines_hold_everything(api: Api, recorded: Recorded) -> None:
    table = await api("GET", "history", format="csv")
    assert table.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert table.headers["Content-Disposition"].startswith("attachment; ")
    rows = list(csv.DictReader(io.StringIO(table.body.decode(), newline="")))
    assert [row["id"] for row in rows] == [execution.id for execution in recorded[::-1]]
    assert rows[0]["source"] == recorded[5].source

    lines = await api("GET", "history", format="jsonl", user="bob", limit="2")
    assert lines.headers["Content-Type"] == "application/jsonl"
    assert numbers([json.loads(line) for line in lines.body.splitlines()]) == [5, 3]


async def test_code_comes_back_as_a_notebook_and_a_script(api: Api, recorded: Recorded) -> None:
    notebook = await api("GET", "history", format="ipynb", user="ada")
    assert notebook.headers["Content-Type"] == "application/x-ipynb+json"
    sources = ["".join(cell["source"]) for cell in notebook.json["cells"]]
    assert sources == [execution.source for execution in recorded[::2]]
    script = await api("GET", "history", format="script", user="ada")
    compile(script.body.decode(), "history.py", "exec")
    assert script.body.count(b"value = ") == 3


async def test_code_comes_back_with_the_kernel_it_ran_on(
    api: Api, app: Any, recorded: Recorded, jp_root_dir: Path
) -> None:
    """The notebook registered itself, which tells no kernel; its file does."""
    cell = {"cell_type": "raw", "id": "a", "metadata": {}, "source": "x"}
    metadata = {"kernelspec": {"name": "ir", "display_name": "R"}}
    document = {"cells": [cell] * 3, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    (jp_root_dir / "study.ipynb").write_text(json.dumps(document))
    await app.parts.store.record([replace(recorded[0], id="another")])
    await app.parts.upkeep.close()
    (notebook,) = (await api("GET", "notebooks")).json["items"]
    assert (notebook["kernel"], notebook["cell_count"]) == ("ir", 3)
    again = await api("GET", "history", format="ipynb", notebook_id=notebook["id"])
    assert again.json["metadata"]["kernelspec"]["name"] == "ir"


async def test_what_is_old_goes_when_asked(api: Api, recorded: Recorded) -> None:
    assert (await api("DELETE", "history")).status == 400
    gone = await api("DELETE", "history", older_than="2026-11-01T12:02:00Z")
    assert gone.json == {"deleted": 2}
    assert numbers((await api("GET", "history")).json["items"]) == [5, 4, 3, 2]
    late = {"older_than": "2027-01-01T00:00:00Z"}
    failed = await api("DELETE", "history", **late, status="error", user="bob")
    assert failed.json == {"deleted": 1}
    assert numbers((await api("GET", "history")).json["items"]) == [4, 3, 2]
    for unusable in ({"limit": "1"}, {"q": "value"}, {"cursor": "3"}):
        assert (await api("DELETE", "history", **late, **unusable)).status == 400
    other = await api("DELETE", "history", older_than="2027-01-01T00:00:00Z", notebook_id="other")
    assert (other.status, other.json["code"]) == (404, "notebook_not_found")


async def test_what_belongs_to_files_elsewhere_stays_out_of_reach(
    api: Api, app: Any, recorded: Recorded, tmp_path: Path
) -> None:
    """Two servers may share a database and have different people at their ends."""
    store = await app.parts.store.opened()
    elsewhere = str(tmp_path / "elsewhere.ipynb")
    consoles = [replace(recorded[0], id=f"console-{n}", path=None) for n in range(2)]
    here = app.parts.names.server(app.serverapp.port)
    await store.record([replace(recorded[0], id="elsewhere", path=elsewhere, user="ada")])
    await store.record([consoles[0], replace(consoles[1], server=here)])
    notebook = await store.find_notebook(elsewhere)
    run = Run("run-1", notebook.id, RunStatus.SUCCESS, {}, elsewhere, "python3")
    await store.put_run(run)

    for filters in ({}, {"user": "ada"}, {"q": "value"}, {"status": "success"}):
        ids = {row["id"] for row in (await api("GET", "history", **filters)).json["items"]}
        assert "console-1" in ids
        assert not {"elsewhere", "console-0"} & ids
    assert b"elsewhere" not in (await api("GET", "history", format="jsonl")).body
    assert b"elsewhere" not in (await api("GET", "usage", by="notebook")).body
    days = (await api("GET", "usage", by="day")).json["items"]
    assert sum(day["executions"] for day in days) == len(recorded)
    for route in ("notebooks", "executions"):
        listed = (await api("GET", route)).json["items"]
        assert elsewhere not in {item["path"] for item in listed}
    for method, route in (
        ("GET", f"notebooks/{notebook.id}"),
        ("DELETE", f"notebooks/{notebook.id}"),
        ("GET", "executions/run-1"),
        ("GET", "executions/run-1/events"),
        ("POST", "executions/run-1/cancel"),
    ):
        refused = await api(method, route)
        assert (refused.status, refused.json["code"]) == (403, "path_not_allowed")
    for method in ("GET", "DELETE"):
        query = {"older_than": "2027-01-01T00:00:00Z"} if method == "DELETE" else {}
        assert (await api(method, "history", notebook_id=notebook.id, **query)).status == 403
    assert (await api("GET", "history", notebook_id="nothing")).status == 404
    gone = await api("DELETE", "history", older_than="2027-01-01T00:00:00Z")
    assert gone.json == {"deleted": 7}
    left = (await store.history(HistoryQuery())).items
    assert {row.id for row in left} == {"elsewhere", "console-0"}


async def test_a_large_stream_arrives_in_pieces(
    api: Api, app: Any, jp_fetch: Callable[..., Any], jp_root_dir: Path
) -> None:
    rows = [
        Execution(
            id=execution_id("kernel", str(number)),
            status=Status.SUCCESS,
            source="x" * 1000,
            started_at=NOON,
            path=str(jp_root_dir / "study.ipynb"),
        )
        for number in range(500)
    ]
    await app.parts.store.record(rows)
    pieces: list[int] = []
    await jp_fetch(
        "blackroad",
        "history",
        params={"format": "jsonl"},
        streaming_callback=lambda piece: pieces.append(len(piece)),
    )
    assert sum(pieces) > 500_000
    assert len(pieces) > 4


@pytest.mark.parametrize("fault", [StoreError("The disk is gone."), RuntimeError("a bug")])
async def test_a_stream_that_breaks_is_not_taken_for_whole(
    api: Api, app: Any, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    async def broken(query: object) -> Any:
        for number in range(100):
            yield Execution(
                id=str(number), status=Status.SUCCESS, source="x" * 2000, started_at=NOON
            )
            await asyncio.sleep(0)
        raise fault

    monkeypatch.setattr(app.parts.history, "stream", broken)
    with pytest.raises(HTTPStreamClosedError):
        await api("GET", "history", format="jsonl")


async def test_a_fault_before_the_first_byte_is_a_typed_error(
    api: Api, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(query: object) -> Any:
        raise StoreError("The disk is gone.")
        yield

    monkeypatch.setattr(app.parts.history, "stream", broken)
    reply = await api("GET", "history", format="csv")
    assert reply.status == 503
    assert reply.json == {"code": "store_error", "message": "The disk is gone."}
    assert "Content-Disposition" not in reply.headers


async def test_usage_adds_up(api: Api, recorded: Recorded) -> None:
    report = (await api("GET", "usage", by="user")).json
    assert report["by"] == "user"
    totals = {item["key"]: (item["executions"], item["duration_ms"]) for item in report["items"]}
    assert totals == {"ada": (3, 3000), "bob": (3, 3000)}
    later = await api("GET", "usage", by="day", since="2026-11-01T12:04:00Z")
    assert later.json["items"] == [{"key": "2026-11-01", "executions": 2, "duration_ms": 2000}]
    assert (await api("GET", "usage", by="hour")).status == 400
