"""The hub as a child of `up`: started, watched, started again, and stopped with all it has."""

from __future__ import annotations

import base64
import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from blackroad_nb.adapters.process_files import claim, end, holder, holders
from blackroad_nb.cli.signals import Interrupted, endings
from blackroad_nb.errors import Conflict, HubUnreachable
from blackroad_nb.hub.up_state import LOOPBACK, PROXY_USER, Settings, StateFolder

START_SECONDS = 90.0
STOP_SECONDS = 60.0
_SESSION_SECONDS = 10.0
_ANSWER_SECONDS = 2.0
_LOOK_SECONDS = 0.02
_WATCH_SECONDS = 0.25
_LARGE_LOG = 10_000_000  # bytes
_SESSIONS = "session-*"
_RAISED = re.compile(r" {0,4}(?:\w+\.)*[A-Z]\w*: ")  # the last line of a traceback
_NOT_SAID = re.compile(r"^(?:\[[A-Z] [^\]]*\] | *blackroad_nb\.errors\.\w+: )")
_SERIOUS = re.compile(r"^\[[CE] [^\]]*\] ")


class Stopping:
    """Takes the first signal that asks to end as `Interrupted`, and no other after it.

    What must not be torn in two is done within `held`.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._held = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        numbers = (signal.SIGINT, *endings())
        before = {number: signal.signal(number, self._take) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        self._held = True
        try:
            yield
        finally:
            self._held = False
            if self._number is not None:
                raise Interrupted(self._number)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self._number is None:
            self._number = number
            if not self._held:
                raise Interrupted(number)


class Hub:
    """The hub of one state folder, whoever started it."""

    def __init__(self, state: StateFolder, settings: Settings) -> None:
        self._state = state
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def alive(self) -> bool:
        if holder(self._state.hub_claim) is not None:
            return True
        if self._process is not None:
            self._process.wait()  # a process lets its claim go a moment before it has ended
        return False

    @property
    def was_shut_down(self) -> bool:
        """Whether it ended as it should: somebody pressed the button of the admin page."""
        return self._process is not None and self._process.returncode == 0

    @property
    def was_killed(self) -> bool:
        """Whether a signal from outside ended it."""
        return self._process is not None and (self._process.returncode or 0) < 0

    def start(self, stopping: Stopping) -> None:
        """Start the process in a session of its own, so that Ctrl-C is ours to handle."""
        own = claim(self._state.hub_claim)
        if own is None:
            raise Conflict(f"another hub has just been started in {str(self._state.path)!r}.")
        self._set_log_aside()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        log = os.open(self._state.log, flags, 0o600)
        try:
            self._log_start = os.fstat(log).st_size
            command = [sys.executable, "-P", "-m", "blackroad_nb.cli.hub_server"]
            with stopping.held():
                self._process = subprocess.Popen(
                    [*command, str(own.descriptor), str(self._state.config)],
                    cwd=self._state.path,
                    stdin=subprocess.DEVNULL,
                    stdout=log,  # a file: whoever inherits it outlives this process
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(own.descriptor,),
                )
                own.name_holder(self._process.pid)
        finally:
            os.close(log)
            own.release()

    def wait_ready(self) -> None:
        """Wait until the pages answer.

        Raises:
            HubUnreachable: it ended, or does not answer in time; says what the log says.
        """
        deadline = time.monotonic() + START_SECONDS
        while not answers(self._settings):
            if not self.alive:
                raise HubUnreachable(f"the hub did not start: {self._last_words()}")
            if time.monotonic() > deadline:
                raise HubUnreachable(
                    f"the hub does not answer; {str(self._state.log)!r} may say why."
                )
            time.sleep(_LOOK_SECONDS)

    def wait_end(self) -> None:
        """Wait until it is gone."""
        while self.alive:
            time.sleep(_WATCH_SECONDS)

    def _set_log_aside(self) -> None:
        """Begin a new log when this one is large; one before it is kept."""
        log = self._state.log
        if log.exists() and log.stat().st_size > _LARGE_LOG:
            log.replace(log.with_suffix(".log.1"))

    def _last_words(self) -> str:
        """Return the last complaint of its log: a serious line, or an exception's last."""
        with self._state.log.open("rb") as file:
            file.seek(self._log_start)
            lines = file.read()[-100_000:].decode(errors="replace").splitlines()
        serious = [line for line in lines if _SERIOUS.match(line)]
        tails = [line for line in lines if _RAISED.match(line)]
        said = (tails or serious or lines or ["it said nothing"])[-1]
        return f"{_NOT_SAID.sub('', said).strip()[:300]} (all of it: {str(self._state.log)!r})"


def answers(settings: Settings) -> bool:
    """Tell whether the hub answers through its own proxy.

    Another program may have taken the port since it was chosen, another hub for one. The
    proxy knows the secret, and listens at all of its ports or ends.
    """
    known = base64.b64encode(f"{PROXY_USER}:{settings.proxy_secret}".encode()).decode()
    its_own = _is_well(settings.proxy_port, "/api/entrypoints", {"Authorization": f"Basic {known}"})
    return its_own and _is_well(settings.port, "/hub/health", {})


def _is_well(port: int, path: str, headers: Mapping[str, str]) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", path, headers=dict(headers))
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def session_count(state: StateFolder) -> int:
    """Return how many sessions are running: processes, and containers where it has any."""
    count = len(holders(state.claims, _SESSIONS))
    settings = state.settings()
    if settings is not None and settings.docker:
        from blackroad_nb.cli.containers import running

        count += running(settings.hub_id) or 0
    return count


def end_all(state: StateFolder) -> list[str]:
    """Stop hub, proxy and sessions; return what was stopped, in words.

    The hub goes first: it stops its sessions as it should. Then comes what is left; its
    service ends with it.

    Raises:
        EngineUnavailable: containers may be left, and nobody can look.
    """
    sessions = session_count(state)
    stopped = ["the hub"] if end(state.hub_claim, STOP_SECONDS) else []
    if end(state.proxy_claim) or stopped:
        stopped.append("its proxy" if stopped else "the proxy")
    for name in holders(state.claims, _SESSIONS):
        end(state.claims / name, _SESSION_SECONDS, group=True)
    state.page.unlink(missing_ok=True)
    settings = state.settings()
    if settings is not None and settings.docker:
        from blackroad_nb.cli.containers import end_containers

        end_containers(settings.hub_id)
    return [*stopped, *counted(sessions)]


def counted(sessions: int) -> list[str]:
    """Say how many sessions, unless there is none."""
    return [] if not sessions else ["1 session"] if sessions == 1 else [f"{sessions} sessions"]


def listed(words: list[str]) -> str:
    """Join words as a sentence has them."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)
