"""kill -9 of hub, service, proxy and `up` while local sessions start and stop.

`BLACKROAD_SURVIVAL` times four rounds; what is random comes from a printed seed.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from up_process import Up, until, up_in

pytestmark = [pytest.mark.survival]

ROUNDS = 4 * int(os.environ.get("BLACKROAD_SURVIVAL", "1"))
SEED = int(os.environ.get("BLACKROAD_SEED", str(random.SystemRandom().randrange(10**6))))
NAMES = ["a", "b", "c", "d"]
LIMIT = 3
SETTLE_SECONDS = 90.0


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with up_in(tmp_path) as up:
        up.state.path.mkdir(parents=True)
        (up.state.path / "profiles.yaml").write_text(
            f"max_sessions: {LIMIT}\nmax_sessions_per_user: {LIMIT}\n"
            "profiles:\n  - name: standard\n    title: Standard\n"
        )
        (up.state.path / "hub_config.py").write_text("c.JupyterHub.allow_named_servers = True\n")
        up.open()
        yield up


def service_pid(up: Up) -> int:
    for pid in up.processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"blackroad_nb.hub.service" in words:
            return pid
    return 0


def kill(pid: int) -> None:
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def kill_something(up: Up, chance: random.Random) -> str:
    """Kill one, or two at once; return what."""
    what = chance.choice(["hub", "hub", "proxy", "service", "hub+proxy", "up+hub", "up"])
    for name in what.split("+"):
        if name == "service":
            kill(service_pid(up))
        elif name == "up":
            assert up.process is not None
            up.process.kill()
            up.process.wait(10)
        else:
            kill(up.claim(name))
    if "up" in what.split("+"):
        up.begin()  # as a user would, who finds it gone
    return what


class Users(threading.Thread):
    """Starts and stops sessions at random until it is told to end."""

    def __init__(self, up: Up, seed: int) -> None:
        super().__init__()
        self.up, self.chance, self.ending = up, random.Random(seed), threading.Event()
        self.most = 0
        self.stopped: set[str] = set()  # what was asked to stop, answered or not
        self.answers: list[int] = []

    def run(self) -> None:
        while not self.ending.is_set():
            name = self.chance.choice(NAMES)
            act = self.chance.choice([self.up.start_session, self.up.start_session,
                                      self.up.stop_session])  # fmt: skip
            if act == self.up.stop_session:
                self.stopped.add(name)
            try:
                self.answers.append(act(name))
            except (OSError, ValueError):  # the hub is away, which is the point
                self.answers.append(0)
            self.most = max(self.most, len(self.up.sessions()))
            self.ending.wait(0.1)


def active_records(up: Up) -> set[str]:
    return {row[0] for row in recorded(up, "SELECT id FROM sessions WHERE ended_at IS NULL")}


def running_records(up: Up) -> dict[str, str]:
    """Return the sessions that have been ready, by id with their server's name."""
    return dict(recorded(up, "SELECT id, server_name FROM sessions WHERE state = 'running'"))


def recorded(up: Up, query: str) -> list[tuple[str, ...]]:
    """Ask the service's file; it holds nothing as long as the service has not made it."""
    path = up.state.path / "sessions.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        if not connection.execute("PRAGMA user_version").fetchone()[0]:
            return []
        return connection.execute(query).fetchall()


@dataclass(frozen=True)
class Sight:
    """What hub, processes and records say at one moment."""

    servers: dict[str, Any]
    processes: set[str]
    records: set[str]

    @property
    def at_rest(self) -> bool:
        """Nothing is under way, and all three agree."""
        ready = all(each["ready"] and not each["pending"] for each in self.servers.values())
        return ready and len(self.servers) == len(self.processes) and self.processes == self.records


def look(up: Up) -> Sight | None:
    """Return what is to be seen; None while the hub is away."""
    try:
        servers = up.servers()
    except (OSError, AssertionError, ValueError):
        return None
    processes = {name.removeprefix("session-") for name in up.sessions()}
    return Sight(servers, processes, active_records(up))


def wait_at_rest(up: Up) -> Sight:
    deadline = time.monotonic() + SETTLE_SECONDS
    while (sight := look(up)) is None or not sight.at_rest:
        assert time.monotonic() < deadline, f"never at rest: {sight}\n{up.log[-8000:]}"
        time.sleep(0.1)
    return sight


@pytest.mark.timeout(90 + 45 * ROUNDS)
def test_no_session_is_lost_or_orphaned_and_no_limit_exceeded(up: Up) -> None:
    print(f"seed {SEED}, {ROUNDS} rounds")
    chance = random.Random(SEED)
    for number in range(ROUNDS):
        users = Users(up, SEED + number)
        users.start()
        time.sleep(chance.uniform(0.0, 3.0))  # a moment like any other
        before = running_records(up)
        what = kill_something(up, chance)
        time.sleep(chance.uniform(0.0, 2.0))
        users.ending.set()
        users.join()
        found = wait_at_rest(up)
        print(f"round {number}: killed {what}; {sorted(found.servers)} {users.answers}")
        assert users.most <= LIMIT
        kept = {each for each, name in before.items() if name not in users.stopped}
        assert kept <= found.processes, f"lost: {kept - found.processes}"
        for name in found.servers:
            path = f"user/{up.settings.owner}/{name}/api/status"
            assert until(lambda path=path: up.asks(path)[0] == 200, 10), path
    assert up.run(program="down").returncode == 0
    until(lambda: not up.processes())


@pytest.mark.parametrize("victim", ["hub", "proxy", "hub+proxy"])
def test_a_running_session_goes_on_whatever_is_killed(up: Up, victim: str) -> None:
    up.start_session("a")
    path = up.wait_session("a")
    (pid,) = up.sessions().values()
    _, kernel = up.call("POST", f"{path}api/kernels", {"name": "python3"})
    before = {name: up.claim(name) for name in ("hub", "proxy")}
    for name in victim.split("+"):
        kill(before[name])
    if victim == "hub":
        assert up.asks(f"{path}api/status")[0] == 200  # nobody noticed

    def mended() -> bool:
        now = {name: up.claim(name) for name in ("hub", "proxy")}
        changed = all(now[name] not in (0, before[name]) for name in victim.split("+"))
        return changed and up.asks(f"{path}api/status")[0] == 200

    until(mended)
    assert list(up.sessions().values()) == [pid]
    until(lambda: up.asks("hub/api/")[0] == 200)
    until(lambda: "a" in up.servers() and up.servers()["a"]["ready"])
    assert [each["id"] for each in up.call("GET", f"{path}api/kernels")[1]] == [kernel["id"]]
    if victim == "hub":
        assert up.claim("proxy") == before["proxy"]  # connections through it live on


def test_the_proxy_is_back_soon(up: Up) -> None:
    took = []
    for _ in range(3):
        kill(up.claim("proxy"))
        began = time.monotonic()
        until(lambda: up.asks("hub/api/")[0] == 200)
        took.append(time.monotonic() - began)
    print("mended after", [f"{seconds:.2f} s" for seconds in took])
    assert min(took) < 2.0  # a quarter of a second to notice, the rest to start
