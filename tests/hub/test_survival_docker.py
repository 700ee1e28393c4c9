"""kill -9 of hub, service and proxy while sessions in containers start and stop.

`BLACKROAD_SURVIVAL` times two rounds; what is random comes from a printed seed. The
long form is `BLACKROAD_SURVIVAL=25 pytest -s tests/hub/test_survival_docker.py`.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker_engine import new_name
from docker_hub import DockerHub, docker_hub
from hub_process import until
from service_visitor import service_is_up

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.core.container import LABEL_SESSION, LABEL_USER, Container

ROUNDS = 2 * int(os.environ.get("BLACKROAD_SURVIVAL", "1"))
SEED = int(os.environ.get("BLACKROAD_SEED", str(random.SystemRandom().randrange(10**6))))
NAMES = ["ada", "bob", "cyd", "dan"]
LIMIT = 3
SETTLE_SECONDS = 90.0
GRACE_SECONDS = 5.0  # longer than a start takes here
WHAT = ["hub", "hub", "hub", "proxy", "service", "hub+proxy", "hub+service+proxy"]
PROFILES = f"""
max_sessions: {LIMIT}
profiles:
  - {{name: small, title: Small, cpus: 1, memory: 512 MB}}
"""

pytestmark = [
    pytest.mark.docker,
    pytest.mark.survival,
    pytest.mark.timeout(300 + 60 * ROUNDS),
]


@pytest.fixture
def hub(tmp_path: Path, engine: DockerEngine, notebook_image: str) -> Iterator[DockerHub]:
    network = new_name()
    sweep = {
        "BLACKROAD_SWEEP_SECONDS": "1",
        "BLACKROAD_SWEEP_GRACE_SECONDS": str(GRACE_SECONDS),
    }
    try:
        with docker_hub(
            tmp_path,
            engine,
            notebook_image,
            network=network,
            proxy=True,
            users=dict.fromkeys(NAMES, ("researchers",)),
            profiles=PROFILES,
            environment=sweep,
        ) as made:
            yield made
    finally:
        engine.remove_network(network)


def kill_something(hub: DockerHub, chance: random.Random) -> str:
    """Kill one, or several at once; return what. A hub that is gone is started again."""
    what = chance.choice(WHAT)
    words = {"service": b"blackroad_nb.hub.service", "proxy": b"traefik.toml"}
    if "hub" in what:
        hub.hub.kill()
    for name in what.split("+"):
        for pid in with_word(hub, words[name]) if name in words else ():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    if "hub" in what:
        time.sleep(chance.uniform(0.0, 1.0))
        hub.hub.restart()
    return what


def with_word(hub: DockerHub, word: bytes) -> list[int]:
    found = []
    for pid in hub.hub.processes():
        try:
            if word in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


class User(threading.Thread):
    """Starts and stops her session at random until she is told to end."""

    def __init__(self, hub: DockerHub, name: str, token: str, seed: int) -> None:
        super().__init__()
        self.hub, self.user, self.token = hub.hub, name, token
        self.chance, self.ending = random.Random(f"{seed}-{name}"), threading.Event()
        self.answers: Counter[int] = Counter()
        self.asked_to_stop = False

    def run(self) -> None:
        while not self.ending.is_set():
            try:
                if self.chance.random() < 0.6:
                    status, told = self.hub.start(self.user, self.token, profile="small")
                else:
                    self.asked_to_stop = True
                    status, told = self.hub.stop_session(self.user, self.token)
            except (OSError, ValueError):  # the hub is away, which is the point
                status, told = 0, None
            self.answers[status] += 1
            if status >= 500:
                print(f"{self.user}: {status} {told}", flush=True)
            self.ending.wait(self.chance.uniform(0.0, 0.5))


class Census(threading.Thread):
    """Counts, over and over, what runs at once and what holds a place."""

    def __init__(self, hub: DockerHub) -> None:
        super().__init__()
        self.hub, self.ending = hub, threading.Event()
        self.most_containers = self.most_records = 0

    def run(self) -> None:
        while not self.ending.is_set():
            alive = [each for each in self.hub.containers() if each.state == "running"]
            self.most_containers = max(self.most_containers, len(alive))
            self.most_records = max(self.most_records, len(open_records(self.hub)))
            self.ending.wait(0.05)


def open_records(hub: DockerHub, state: str = "") -> dict[str, str]:
    """Return the user of each session that has not ended, by the session's id."""
    query = "SELECT id, user FROM sessions WHERE ended_at IS NULL AND state LIKE ?"
    with closing(sqlite3.connect(hub.hub.state / "sessions.db")) as connection:
        return dict(connection.execute(query, (state or "%",)).fetchall())


@dataclass(frozen=True)
class Sight:
    """What hub, engine and records say at one moment."""

    servers: dict[str, Any]  # by user
    containers: dict[str, tuple[str, str]]  # session -> user, state
    records: dict[str, str]  # session -> user

    @property
    def at_rest(self) -> bool:
        """Nothing is under way, and all three agree."""
        ready = all(each["ready"] and not each["pending"] for each in self.servers.values())
        running = {name: (user, "running") for name, user in self.records.items()}
        owners = sorted(self.records.values())
        return ready and self.containers == running and sorted(self.servers) == owners


def look(hub: DockerHub) -> Sight:
    status, users = hub.hub.api("GET", "users")
    assert status == 200, users
    servers = {user["name"]: user["servers"][""] for user in users if "" in user["servers"]}
    containers = {  # the engine itself lets no two have one name
        each.labels[LABEL_SESSION]: (each.labels[LABEL_USER], each.state)
        for each in hub.containers()
    }
    return Sight(servers, containers, open_records(hub))


def wait_at_rest(hub: DockerHub) -> Sight:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not (sight := look(hub)).at_rest:
        assert time.monotonic() < deadline, f"never at rest: {sight}\n{hub.hub.log()[-8000:]}"
        time.sleep(0.1)
    return sight


def token_inside(hub: DockerHub, container: Container) -> str:
    """Return the token that the session itself holds."""
    code = "import os; print(os.environ['JUPYTERHUB_API_TOKEN'])"
    return hub.inside(container, code).strip()


def check_owners(hub: DockerHub, tokens: dict[str, str], seen: set[str]) -> None:
    """Check that each session's address and token answer only for its owner.

    Args:
        tokens: of the users themselves.
        seen: the sessions' tokens of earlier rounds; those of this one are added.
    """
    running = {each.labels[LABEL_USER]: each for each in hub.containers()}
    own = {user: token_inside(hub, each) for user, each in running.items()}
    for token in seen - set(own.values()):  # they end with their sessions
        assert hub.hub.api("GET", "user", token)[0] in (401, 403)
    seen.update(own.values())
    for user in running:
        place = f"{hub.hub.url}user/{user}/api/contents/work"
        until(lambda place=place, user=user: ask(hub, "GET", place, tokens[user])[0] == 200, 30)
        mark = {"type": "file", "format": "text", "content": user}
        status, body = hub.hub.call("PUT", f"{place}/of-{user}.txt", tokens[user], mark)
        assert status in (200, 201), body
        _, folder = hub.hub.call("GET", place, tokens[user])
        files = {each["name"] for each in folder["content"]}
        assert {name for name in files if name.startswith("of-")} == {f"of-{user}.txt"}
        status, told = hub.hub.api("GET", "user", own[user])
        assert (status, told["name"]) == (200, user), told
        for other in NAMES:
            if other != user:
                assert hub.hub.call("GET", place, tokens[other])[0] == 403
            if other != user and other in own:
                assert hub.hub.call("GET", place, own[other])[0] == 403
                assert hub.hub.api("GET", f"users/{user}", own[other])[0] in (403, 404)


def ask(hub: DockerHub, method: str, url: str, token: str) -> tuple[int, Any]:
    try:
        return hub.hub.call(method, url, token)
    except OSError:  # the proxy is being mended
        return 0, None


def one_that_rests(hub: DockerHub, tokens: dict[str, str], chance: random.Random) -> str:
    """Return a user who has a session, and will neither stop it nor start another."""
    running = sorted(look(hub).servers)
    if running:
        return chance.choice(running)
    name = chance.choice(NAMES)
    status, body = hub.hub.start(name, tokens[name], profile="small")
    assert status == 201, body
    wait_at_rest(hub)
    return name


def one_round(
    hub: DockerHub, tokens: dict[str, str], seen: set[str], number: int, chance: random.Random
) -> None:
    resting = one_that_rests(hub, tokens, chance)
    actors = [User(hub, name, tokens[name], SEED + number) for name in NAMES if name != resting]
    census = Census(hub)
    for thread in (census, *actors):
        thread.start()
    try:
        time.sleep(chance.uniform(0.0, 3.0))  # a moment like any other
        before = open_records(hub, "running")
        what = kill_something(hub, chance)
        time.sleep(chance.uniform(0.0, 2.0))
    finally:
        for each in actors:
            each.ending.set()
        for each in actors:
            each.join()
        census.ending.set()
        census.join()
    found = wait_at_rest(hub)
    told = dict(sum((each.answers for each in actors), Counter()))
    print(f"round {number}: killed {what}; {sorted(found.servers)} {told}", flush=True)
    most = census.most_containers, census.most_records
    assert max(most) <= LIMIT, f"more than {LIMIT} at once: {most}\n{hub.hub.log()[-8000:]}"
    stopped = {each.user for each in actors if each.asked_to_stop}
    kept = {session for session, user in before.items() if user not in stopped}
    assert kept  # of the one that rests, at least
    assert kept <= set(found.containers), f"lost: {kept - set(found.containers)}"
    service_is_up(hub.hub)
    check_owners(hub, tokens, seen)


def test_no_session_is_lost_or_orphaned_and_each_is_its_owners(hub: DockerHub) -> None:
    print(f"seed {SEED}, {ROUNDS} rounds")
    chance = random.Random(SEED)
    tokens = {name: hub.hub.token_for(name) for name in NAMES}
    seen: set[str] = set()
    for number in range(ROUNDS):
        one_round(hub, tokens, seen, number, chance)
    for name in NAMES:
        until(lambda name=name: hub.hub.stop_session(name)[0] in (204, 400, 404))
        hub.hub.wait_gone(name)
    until(lambda: not hub.containers(), 30)
    assert open_records(hub) == {}
