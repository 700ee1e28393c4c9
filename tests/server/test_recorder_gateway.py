"""Cells on kernels behind a gateway: a second Jupyter Server, as `--gateway-url` names it."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from cells import Browser, LegacyBrowser, open_browser
from jupyter_server.gateway.gateway_client import GatewayClient
from rest_client import Api
from server_process import AUTHORIZATION, STOP_SECONDS, TOKEN
from server_process import until as until_now

SLEEP = "import time; time.sleep(60)"
SHOW = "try:\n    1/0\nexcept Exception:\n    get_ipython().showtraceback()\n'goes on'"
Row = dict[str, Any]


@dataclass
class Gateway:
    process: subprocess.Popen[bytes]
    url: str

    def call(self, method: str, path: str) -> Any:
        request = Request(f"{self.url}{path}", headers=AUTHORIZATION, method=method)
        with urlopen(request, timeout=30) as reply:
            return json.loads(reply.read() or b"null")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    environment = {**os.environ, "JUPYTER_RUNTIME_DIR": str(folder), "JUPYTER_TOKEN": TOKEN}
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--port=0"]
    command += [f"--ServerApp.root_dir={folder}"]
    command += ["--ServerApp.jpserver_extensions={'blackroad_nb': False, 'jupyterlab': False}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stderr=log)

    def address() -> str | None:
        assert process.poll() is None, (folder / "log").read_text()
        for file in folder.glob("jpserver-*.json"):
            try:
                return str(json.loads(file.read_text())["url"])
            except ValueError:  # it is being written
                continue
        return None

    try:
        yield Gateway(process, until_now(address))
    finally:
        GatewayClient.clear_instance()  # later than the last server, which still asks it
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def jp_server_config(
    database: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    monkeypatch.setattr("blackroad_nb.server.relay.ASK_SECONDS", 0.3)
    GatewayClient.clear_instance()
    return {
        "ServerApp": {"jpserver_extensions": {"blackroad_nb": True}},
        "BlackRoadApp": {"database": str(database)},
        "GatewayClient": {"url": gateway.url, "auth_token": TOKEN},
    }


class Desk:
    """A notebook whose kernel runs behind the gateway, and one open tab."""

    def __init__(self, api: Api, fetch: Callable[..., Any], kernel_id: str) -> None:
        self.api = api
        self.fetch = fetch
        self.kernel_id = kernel_id
        self.tab: Browser

    async def open(self) -> Browser:
        return await open_browser(self.fetch, self.kernel_id, LegacyBrowser)

    async def rows(self) -> list[Row]:
        """All that was recorded, oldest first."""
        return list(reversed((await self.api("GET", "history")).json["items"]))

    async def recorded(self, source: str, status: str = "") -> Row:
        """Wait until the newest execution of this source has ended, or has that status."""
        found: list[Row] = []

        async def look() -> bool:
            found[:] = [row for row in await self.rows() if row["source"] == source]
            state = found[-1]["status"] if found else "pending"
            return bool(found) and (state == status if status else state != "pending")

        async with asyncio.timeout(30):
            while not await look():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return found[-1]

    async def run(self, code: str, **options: Any) -> Row:
        await self.tab.run(code, **options)
        return await self.recorded(code)

    async def health(self) -> dict[str, Any]:
        recorder = (await self.api("GET", "health")).json["recorder"]
        assert isinstance(recorder, dict)
        return recorder


@pytest.fixture
def notebook(jp_root_dir: Path) -> str:
    (jp_root_dir / "nb.ipynb").write_text("{}")
    return str(jp_root_dir.resolve() / "nb.ipynb")


@pytest.fixture
def desk(
    api: Api, jp_serverapp: Any, jp_asyncio_loop: Any, jp_ws_fetch: Any, notebook: str
) -> Iterator[Desk]:
    async def begin() -> Desk:
        session = await jp_serverapp.session_manager.create_session(
            path="nb.ipynb", name="nb.ipynb", type="notebook", kernel_name="python3"
        )
        desk = Desk(api, jp_ws_fetch, session["kernel"]["id"])
        desk.tab = await desk.open()
        return desk

    desk = jp_asyncio_loop.run_until_complete(begin())
    yield desk
    jp_asyncio_loop.run_until_complete(desk.tab.close())


async def test_a_cell_carries_everything(desk: Desk, notebook: str) -> None:
    row = await desk.run("import time; time.sleep(0.2); 6 * 7", cell_id="cell-a")
    assert (row["status"], row["error"], row["cell_id"]) == ("success", None, "cell-a")
    assert row["path"] == notebook
    assert (row["execution_count"], row["kernel_id"]) == (1, desk.kernel_id)
    assert (row["user"], row["user_source"]) == (getpass.getuser(), "token")
    assert row["started_at"] <= row["finished_at"]
    assert 200 <= row["duration_ms"] < 2000
    health = await desk.health()
    assert (health["state"], health["faults"]) == ("ok", {})
    assert (health["kernels"], health["behind_gateway"], health["open"]) == (1, 1, 0)


async def test_errors_aborted_shown_and_silent(desk: Desk) -> None:
    first = desk.tab.send("import time; time.sleep(0.3); 1/0")
    behind = desk.tab.send("'never'")
    for msg_id in (first, behind):
        await desk.tab.done(msg_id)
    await desk.tab.run("x = 1", silent=True)
    shown = await desk.run(SHOW)
    rows = await desk.rows()
    assert [row["status"] for row in rows] == ["error", "aborted", "success"]
    assert rows[0]["error"].startswith("ZeroDivisionError: division by zero\n")
    assert rows[1]["source"] == "'never'"
    assert shown["error"] is None


async def test_two_tabs_bring_each_cell_once(desk: Desk) -> None:
    other = await desk.open()
    for number in range(5):
        tab = (desk.tab, other)[number % 2]
        await tab.run(f"{number}", cell_id=f"cell-{number}")
    await desk.recorded("4")
    rows = await desk.rows()
    assert [row["cell_id"] for row in rows] == [f"cell-{number}" for number in range(5)]
    assert {row["status"] for row in rows} == {"success"}
    assert (await desk.health())["ends_lost"] == 0
    await other.close()


async def test_an_interrupt_and_a_restart(desk: Desk, jp_fetch: Any) -> None:
    async def ask(action: str) -> None:
        path = ("api", "kernels", desk.kernel_id, action)
        await jp_fetch(*path, method="POST", allow_nonstandard_methods=True)

    await desk.tab.running(desk.tab.send(SLEEP))
    await ask("interrupt")
    row = await desk.recorded(SLEEP)
    assert (row["status"], row["error"].split("\n")[0]) == ("error", "KeyboardInterrupt")
    await desk.tab.running(desk.tab.send(f"{SLEEP} # again"))
    await ask("restart")
    row = await desk.recorded(f"{SLEEP} # again")
    assert row["status"] == "killed"
    assert "restarted" in row["error"].split("\n")[0]


async def test_a_killed_kernel(desk: Desk) -> None:
    suicide = "import os, signal, time; time.sleep(1); os.kill(os.getpid(), signal.SIGKILL)"
    await desk.tab.running(desk.tab.send(suicide))  # seen to run: it may die before it says so
    row = await desk.recorded(suicide)
    assert (row["status"], row["error"]) == ("killed", "The kernel died while this cell ran.")


async def test_a_shut_down_kernel(desk: Desk, jp_fetch: Any) -> None:
    await desk.tab.running(desk.tab.send(SLEEP))
    await jp_fetch("api", "kernels", desk.kernel_id, method="DELETE")
    assert (await desk.recorded(SLEEP))["status"] == "killed"


async def test_a_kernel_that_the_gateway_stopped(desk: Desk, gateway: Gateway) -> None:
    await desk.tab.running(desk.tab.send(SLEEP))
    await asyncio.to_thread(gateway.call, "DELETE", f"api/kernels/{desk.kernel_id}")
    assert (await desk.recorded(SLEEP))["status"] == "killed"


async def test_a_tab_that_comes_back_sees_the_end(desk: Desk) -> None:
    code = "import time; time.sleep(3); 'late'"
    await desk.tab.running(desk.tab.send(code, cell_id="c"))
    await desk.tab.close()
    assert (await desk.recorded(code, "pending"))["finished_at"] is None
    desk.tab = await desk.open()
    row = await desk.recorded(code)
    assert (row["status"], row["cell_id"]) == ("success", "c")
    assert 3000 <= row["duration_ms"] < 6000
    assert (await desk.health())["ends_unseen"] == 0


async def test_an_end_that_nobody_saw_is_said_to_be_so(desk: Desk) -> None:
    code = "import time; time.sleep(2.5); 'late'"
    behind = "'behind'"
    await desk.tab.running(desk.tab.send(code))
    desk.tab.send(behind)
    await desk.tab.close()
    assert (await desk.recorded(code, "pending"))["finished_at"] is None
    row = await desk.recorded(code)
    assert row["status"] == "killed"
    assert (row["finished_at"], row["duration_ms"]) == (None, None)
    assert row["error"].startswith("How this cell ended was not seen")
    row = await desk.recorded(behind)
    assert (row["status"], row["duration_ms"]) == ("aborted", None)
    assert row["error"].startswith("Whether this cell ran was not seen")
    health = await desk.health()
    assert (health["ends_unseen"], health["open"], health["faults"]) == (2, 0, {})
    desk.tab = await desk.open()
    assert (await desk.run("'again'"))["status"] == "success"


async def test_a_long_cell_without_a_tab_is_not_given_up(desk: Desk) -> None:
    await desk.tab.running(desk.tab.send(SLEEP))
    await desk.tab.close()
    await desk.recorded(SLEEP, "pending")
    await asyncio.sleep(3)  # ten times as long as the gateway is asked again
    assert (await desk.recorded(SLEEP, "pending"))["status"] == "pending"
    desk.tab = await desk.open()
