"""Headless runs over REST: started, watched, cancelled, on real kernels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rest_client import Api, write_notebook
from tornado.httpclient import HTTPClientError

from blackroad_nb.server.handlers import events

DEADLINE = 30.0


class Watcher:
    """Collects a run's server-sent events."""

    def __init__(self, fetch: Callable[..., Any]) -> None:
        self._fetch = fetch
        self.text = ""
        self.grown = asyncio.Event()

    def _more(self, piece: bytes) -> None:
        self.text += piece.decode()
        self.grown.set()

    async def follow(self, run_id: str, **more: Any) -> list[dict[str, Any]]:
        await self._fetch(
            "blackroad",
            "executions",
            run_id,
            "events",
            streaming_callback=self._more,
            request_timeout=DEADLINE,
            **more,
        )
        return self.events

    async def seen(self, text: str) -> None:
        async with asyncio.timeout(DEADLINE):
            while text not in self.text:
                self.grown.clear()
                await self.grown.wait()

    @property
    def events(self) -> list[dict[str, Any]]:
        found = []
        for block in self.text.split("\n\n"):
            fields = dict(
                line.split(": ", 1) for line in block.splitlines() if not line.startswith(":")
            )
            if "event" in fields:
                data = json.loads(fields["data"])
                found.append({"id": int(fields["id"]), "event": fields["event"], "data": data})
        return found


@pytest.fixture
def watcher(api: Api, jp_fetch: Callable[..., Any]) -> Watcher:
    return Watcher(jp_fetch)


async def start(api: Api, **body: Any) -> dict[str, Any]:
    reply = await api("POST", "executions", body)
    assert reply.status == 202, reply.body
    assert reply.headers["Location"].endswith(f"/blackroad/executions/{reply.json['id']}")
    return dict(reply.json)


async def until_final(api: Api, run_id: str) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE):
        while True:
            run = (await api("GET", f"executions/{run_id}")).json
            if run["status"] not in ("pending", "running"):
                return dict(run)
            await asyncio.sleep(0.05)


async def test_a_run_by_path_writes_the_file_and_the_history(
    api: Api, watcher: Watcher, jp_root_dir: Path
) -> None:
    file = write_notebook(jp_root_dir / "sum.ipynb", "a = 6", "print(a * 7)")
    run = await start(api, path="sum.ipynb")
    seen = await watcher.follow(run["id"])
    assert [event["id"] for event in seen] == list(range(1, len(seen) + 1))
    kinds = [event["event"] for event in seen]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_finished"
    assert kinds.count("cell_finished") == 2

    ended = (await api("GET", f"executions/{run['id']}")).json
    assert ended["status"] == "success"
    assert [cell["status"] for cell in ended["cells"]] == ["success", "success"]
    assert "42" in json.dumps(json.loads(file.read_text())["cells"][1]["outputs"])

    rows = (await api("GET", "history", run_id=run["id"])).json["items"]
    assert [row["source"] for row in rows] == ["print(a * 7)", "a = 6"]
    assert {row["origin"] for row in rows} == {"run"}
    assert len((await api("GET", "history")).json["items"]) == 2  # the recorder left them alone

    for chosen in ({"notebook_id": run["notebook_id"]}, {"path": "sum.ipynb"}):
        listed = (await api("GET", "executions", **chosen)).json["items"]
        assert [item["id"] for item in listed] == [run["id"]]
    both = await api("GET", "executions", notebook_id=run["notebook_id"], path="sum.ipynb")
    assert both.status == 400
    for unknown in ({"notebook_id": "nothing"}, {"path": "nothing.ipynb"}):
        assert (await api("GET", "executions", **unknown)).status == 404


async def test_outputs_come_only_when_asked_for(api: Api, app: Any, jp_root_dir: Path) -> None:
    write_notebook(jp_root_dir / "a.ipynb", "print('shown')", "2")
    run = await until_final(api, (await start(api, path="a.ipynb"))["id"])
    assert [cell["outputs"] for cell in run["cells"]] == [None, None]
    whole = (await api("GET", f"executions/{run['id']}", outputs="1")).json
    assert [len(cell["outputs"]) for cell in whole["cells"]] == [1, 1]
    assert whole["cells"][0]["outputs"][0]["text"] == "shown\n"
    for cell in whole["cells"]:
        cell["outputs"] = None
    run = (await api("GET", f"executions/{run['id']}")).json  # its row is stored by now
    assert whole == run
    for plain in ((await api("GET", "executions")).json["items"][0], run):
        assert {cell["outputs"] for cell in plain["cells"]} == {None}

    rows = (await api("GET", "history", run_id=run["id"])).json["items"]
    assert [row["output"] for row in rows] == [None, None]
    rows = (await api("GET", "history", run_id=run["id"], outputs="1")).json["items"]
    assert rows[1]["output"] == [{"output_type": "stream", "name": "stdout", "text": "shown\n"}]
    lines = await api("GET", "history", run_id=run["id"], format="jsonl", outputs="1")
    assert [json.loads(line)["output"] for line in lines.body.splitlines()] == [
        row["output"] for row in rows
    ]


async def test_a_run_on_another_kernel(api: Api, jp_root_dir: Path) -> None:
    file = write_notebook(jp_root_dir / "odd.ipynb", "print(6 * 7)")
    content = json.loads(file.read_text())
    content["metadata"] = {"kernelspec": {"name": "nosuch", "display_name": "x"}}
    file.write_text(json.dumps(content))
    run = await start(api, path="odd.ipynb", kernel="python3", parameters={"n": {"$float": "nan"}})
    ended = await until_final(api, run["id"])
    assert (ended["status"], ended["kernel"]) == ("success", "python3")
    assert ended["requested"]["parameters"] == {"n": {"$float": "nan"}}
    written = json.loads(file.read_text())
    assert written["metadata"] == content["metadata"]
    assert "".join(written["cells"][0]["source"]).endswith('n = float("nan")')


async def test_a_run_that_is_refused_registers_nothing(api: Api, jp_root_dir: Path) -> None:
    write_notebook(jp_root_dir / "a.ipynb", "1")
    reply = await api("POST", "executions", {"path": "a.ipynb", "cell": 7})
    assert (reply.status, reply.json["code"]) == (400, "invalid_input")
    assert (await api("GET", "notebooks")).json["items"] == []


async def test_runs_are_listed_page_by_page(api: Api, jp_root_dir: Path) -> None:
    write_notebook(jp_root_dir / "a.ipynb", "1")
    for _ in range(3):
        await until_final(api, (await start(api, path="a.ipynb"))["id"])
    whole = (await api("GET", "executions")).json
    assert whole["next_cursor"] is None
    seen, more = [], {}
    for _ in range(3):
        page = (await api("GET", "executions", limit="1", **more)).json
        seen += page["items"]
        more = {"cursor": page["next_cursor"]}
    assert seen == whole["items"]
    assert more == {"cursor": None}
    for bad in ("-1", "x", str(2**63)):
        assert (await api("GET", "executions", cursor=bad)).status == 400


async def test_events_are_taken_up_where_one_left(
    api: Api, jp_fetch: Callable[..., Any], jp_root_dir: Path
) -> None:
    write_notebook(jp_root_dir / "a.ipynb", "1", "2")
    run = await start(api, path="a.ipynb")
    whole = await Watcher(jp_fetch).follow(run["id"])
    again = await Watcher(jp_fetch).follow(run["id"], params={"after": "2"})
    assert again == whole[2:]
    header = await Watcher(jp_fetch).follow(run["id"], headers={"Last-Event-ID": "3"})
    assert header == whole[3:]
    for headers in ({"Last-Event-ID": "x"}, {"Last-Event-ID": "-1"}):
        reply = await api("GET", f"executions/{run['id']}/events", headers=headers)
        assert (reply.status, reply.json["code"]) == (400, "invalid_input")


async def test_a_run_is_cancelled_and_keeps_what_it_did(
    api: Api, app: Any, watcher: Watcher, jp_root_dir: Path
) -> None:
    write_notebook(jp_root_dir / "long.ipynb", "print('begun')", "import time; time.sleep(60)", "3")
    run = await start(api, path="long.ipynb")
    following = asyncio.ensure_future(watcher.follow(run["id"]))
    await watcher.seen('"index": 1')
    assert app.current_activity() == {"headless runs": 1}
    assert (await api("GET", "health")).json["runs"] == {"active": 1}

    reply = await api("POST", f"executions/{run['id']}/cancel", {})
    assert reply.status == 202, reply.body
    assert (await following)[-1]["event"] == "run_finished"
    ended = await until_final(api, run["id"])
    assert ended["status"] == "cancelled"
    assert ended["cells"][0]["status"] == "success"
    assert app.current_activity() is None
    again = await api("POST", f"executions/{run['id']}/cancel", {})
    assert (again.status, again.json["status"]) == (202, "cancelled")


async def test_a_notebook_that_runs_is_not_deleted(
    api: Api, watcher: Watcher, jp_root_dir: Path
) -> None:
    write_notebook(jp_root_dir / "long.ipynb", "print('a')", "import time; time.sleep(60)")
    run = await start(api, path="long.ipynb")
    following = asyncio.ensure_future(watcher.follow(run["id"]))
    await watcher.seen("cell_finished")
    refused = await api("DELETE", f"notebooks/{run['notebook_id']}")
    assert (refused.status, refused.json["code"]) == (409, "run_active")
    assert run["id"] in refused.json["message"]
    await api("POST", f"executions/{run['id']}/cancel", {})
    await following
    assert (await api("DELETE", f"notebooks/{run['notebook_id']}")).status == 200
    assert (await api("GET", "history")).json["items"] == []


async def test_a_watcher_who_leaves_frees_the_stream_and_not_the_run(
    api: Api, app: Any, watcher: Watcher, jp_fetch: Any, jp_root_dir: Path
) -> None:
    left = asyncio.Event()
    watched = app.parts.running.watch

    async def watching(run_id: str, after: int = 0) -> Any:
        try:
            async for event in watched(run_id, after):
                yield event
        finally:
            left.set()

    app.parts.running.watch = watching
    write_notebook(jp_root_dir / "long.ipynb", "import time; time.sleep(60)")
    run = await start(api, path="long.ipynb")
    with pytest.raises(HTTPClientError, match="Timeout"):
        await watcher._fetch("blackroad", "executions", run["id"], "events", request_timeout=0.5)
    async with asyncio.timeout(DEADLINE):
        await left.wait()
    assert (await api("GET", f"executions/{run['id']}")).json["status"] in ("pending", "running")
    await api("POST", f"executions/{run['id']}/cancel", {})


async def test_a_silent_run_sends_heartbeats(
    api: Api, watcher: Watcher, jp_root_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    write_notebook(jp_root_dir / "long.ipynb", "import time; time.sleep(60)")
    run = await start(api, path="long.ipynb")
    following = asyncio.ensure_future(watcher.follow(run["id"]))
    await watcher.seen(": still here")
    await api("POST", f"executions/{run['id']}/cancel", {})
    assert (await following)[-1]["event"] == "run_finished"


async def test_one_cell_with_parameters_into_another_file(api: Api, jp_root_dir: Path) -> None:
    file = write_notebook(jp_root_dir / "p.ipynb", "x = 1", "print(x)", "1/0")
    before = file.read_bytes()
    run = await start(
        api,
        path="p.ipynb",
        cell=1,
        with_predecessors=True,
        parameters={"x": 5},
        output="out.ipynb",
        timeout_seconds=20,
    )
    ended = await until_final(api, run["id"])
    assert ended["status"] == "success", ended
    assert ended["artefact"] == str(jp_root_dir / "out.ipynb")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"notebook_id": "none"}, 404, "notebook_not_found"),
        ({"path": "none.ipynb"}, 404, "notebook_not_found"),
        ({"path": "../none.ipynb"}, 403, "path_not_allowed"),
        ({"path": "here.ipynb", "output": "/etc/x.ipynb"}, 403, "path_not_allowed"),
        ({"path": "here.ipynb", "cell": 7}, 400, "invalid_input"),
        ({"path": "broken.ipynb"}, 400, "invalid_notebook"),
        ({}, 400, "invalid_input"),
    ],
)
async def test_what_cannot_start_is_refused_at_once(
    api: Api, jp_root_dir: Path, body: dict[str, Any], status: int, code: str
) -> None:
    write_notebook(jp_root_dir / "here.ipynb", "1")
    (jp_root_dir / "broken.ipynb").write_text("{}")
    reply = await api("POST", "executions", body)
    assert (reply.status, reply.json["code"]) == (status, code), reply.body
    assert (await api("GET", "executions")).json["items"] == []


async def test_an_unknown_run_is_not_found_anywhere(api: Api) -> None:
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel")):
        reply = await api(method, f"executions/none{path}", {} if method == "POST" else None)
        assert (reply.status, reply.json["code"]) == (404, "run_not_found")


async def test_only_starting_a_run_counts_as_activity(
    api: Api, app: Any, watcher: Watcher, jp_root_dir: Path
) -> None:
    settings = app.serverapp.web_app.settings
    write_notebook(jp_root_dir / "a.ipynb", "1")
    run = await start(api, path="a.ipynb")
    assert "blackroad_nb" in settings["last_activity_times"]
    await watcher.follow(run["id"])
    before = settings["api_last_activity"]
    await api("GET", f"executions/{run['id']}")
    await api("GET", "executions")
    await api("GET", f"executions/{run['id']}/events")
    assert settings["api_last_activity"] == before
