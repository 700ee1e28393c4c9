"""What every spawner of ours enforces, whatever the form, the link or the API asked for.

A concrete spawner puts `PolicyMixin` before JupyterHub's class and fills four hooks:
`apply_profile`, `launch`, `explain` and `last_words`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyterhub.spawner import Spawner

from blackroad_nb.core.ending import SHUT_DOWN
from blackroad_nb.core.launch import LaunchChoice, find_profile, parse_choice
from blackroad_nb.core.policy import best_first
from blackroad_nb.core.profile import Profile
from blackroad_nb.core.server import LastWords, ServerEvent, ServerRecord, ServerState
from blackroad_nb.core.template import landing
from blackroad_nb.errors import BlackRoadError, InvalidInput, SessionFailed
from blackroad_nb.hub.launch_options import LaunchOptions, shown
from blackroad_nb.hub.launches import Launches, launches_of
from blackroad_nb.hub.readiness import wait_until_answering
from blackroad_nb.hub.refusal_log import hush_refusals
from blackroad_nb.hub.requester import launcher_of, used_servers
from blackroad_nb.hub.server_state import record_from_state, record_to_state
from blackroad_nb.hub.session_tokens import revoke_session_tokens
from blackroad_nb.hub.steps import Steps
from blackroad_nb.hub.template_list import check_template

STATE_KEY = "blackroad"
SPARE_SECONDS = 15  # that the hub waits longer than we do, to end what did not come up in time


class PolicyMixin(LaunchOptions, Spawner):  # type: ignore[misc]  # jupyterhub has no types
    """Checks a launch, holds its place, follows it to its end and says why it ended."""

    isolates = False  # sessions are kept apart from each other and from the hub

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.record: ServerRecord | None = None
        self.profile: Profile | None = None
        self.choice: LaunchChoice | None = None
        self._steps = Steps()
        self._launching = self._undoing = False
        self._seen_alive = False
        self._exit_code: int | None = None
        self.start_timeout += SPARE_SECONDS
        hush_refusals(self.log)

    # What a concrete spawner fills in.

    def apply_profile(self, profile: Profile, choice: LaunchChoice, record: ServerRecord) -> None:
        """Set what the launch needs from the profile. Nothing has been started yet."""

    async def launch(self) -> Any:
        """Start the session; return its URL or (ip, port). Need not wait until it answers."""
        return await super().start()

    def explain(self, error: Exception) -> SessionFailed:
        """Say what an error of `launch` means: the cause, and what to do."""
        self.log.error("Starting %s failed", self._log_name, exc_info=error)
        return SessionFailed("The session could not be started; the hub's log says why.", "failed")

    async def last_words(self) -> LastWords:
        """Say what is known of the session's end. Called once it is gone."""
        return LastWords(None, "exited", "The session ended by itself.")

    # What its watchers ask.

    @property
    def launches(self) -> Launches:
        return launches_of(Path(self.state_folder or "."))

    def step(self, name: str, message: str) -> None:
        """Tell whoever watches what is being done now; names are in `steps.PERCENT`."""
        self._steps.add(name, message)

    async def progress(self) -> AsyncIterator[dict[str, int | str]]:
        async for line in self._steps.follow():
            yield line

    # The life of a session.

    async def start(self) -> Any:
        """Check, hold a place, start and wait until the session answers.

        Raises:
            RefusedSpawn: it may not start, or it did not; the message says why.
        """
        if self._steps.ended:  # whoever looked before the start began keeps watching
            self._steps = Steps()
        try:
            record = self._accept()
        except BlackRoadError as error:
            self._steps.end()
            raise shown(error) from None
        self.record, self._launching, self._seen_alive = record, True, False
        try:
            url = await self._start_accepted(record)
        except asyncio.CancelledError:
            called_off = SessionFailed("The start was called off.", "cancelled")
            await self._undo(called_off, ServerEvent.ENDED)  # as it was asked to
            raise
        except Exception as error:
            failure = self._failure(error)
            await self._undo(failure)
            raise shown(failure) from None
        finally:
            self._launching = False
            self._steps.end()
        self._seen_alive = True
        self._note(ServerEvent.READY)
        return url

    async def stop(self, now: bool = False) -> None:
        self._note(ServerEvent.STOP)
        try:
            await super().stop(now=now)
        except Exception:
            # The hub gives it up now; a place that nobody gives back would be lost for ever.
            self._note(ServerEvent.LOST, "stop_failed", "It could not be stopped properly.")
            raise
        finally:
            revoke_session_tokens(self)
        self._note(ServerEvent.ENDED)

    async def poll(self) -> int | None:
        if self._launching and not self._undoing:
            return None  # `start` watches; the hub must take it for running
        record = self.record
        status: int | None = await super().poll()
        if self._undoing or record is None or self.launches.get(record.id) is None:
            return status
        if status is None:
            if not self._seen_alive:  # found again after the hub had been away
                self._seen_alive = True
                self._note(ServerEvent.READY)
        else:
            await self._gone()
        return status

    def get_env(self) -> dict[str, str]:
        env: dict[str, str] = super().get_env()
        env.update(self.session_environment())
        return env

    def session_environment(self) -> dict[str, str]:
        """Return the variables of every session, those of its profile among them."""
        env = dict(self.profile.environment) if self.profile else {}
        env.update(PYTHONPATH="/app", DATA_PATH="/data", USER_ID=self.user.name)
        if self.choice and self.choice.template:
            env["BLACKROAD_TEMPLATE"] = self.choice.template
            if self.choice.original:
                env["BLACKROAD_TEMPLATE_ORIGINAL"] = "1"
        return env

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state()
        if self.record and self.launches.get(self.record.id):
            state[STATE_KEY] = record_to_state(self.record)
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        if not self.orm_spawner or self.orm_spawner.server is None:
            return  # it is not running, so it holds no place
        remembered = record_from_state(state.get(STATE_KEY))
        if remembered is not None:
            self.record = self.launches.adopt(remembered)
        else:  # the hub was killed before it had saved any
            self.record = self.launches.claim(self.user.name, self.name)

    def save_state(self) -> None:
        """Save the state now; the hub does so only once a start is over."""
        self.orm_spawner.state = self.get_state()
        self.user.db.commit()

    async def wait_until_ready(self, url: Any) -> None:
        """Wait until the session answers.

        Raises:
            SessionFailed: it died before it did.
        """

        async def gone() -> bool:
            return await super(PolicyMixin, self).poll() is not None

        scheme = "https" if self.internal_ssl else "http"
        address = url if isinstance(url, str) else f"{scheme}://{_host(url[0])}:{url[1]}"
        path = self.server.base_url if self.server else "/"
        if not await wait_until_answering(f"{address.rstrip('/')}{path}api", gone):
            words = await self.last_words()
            self._exit_code = words.exit_code
            raise SessionFailed(words.message, words.reason)

    # What only we need.

    def _accept(self) -> ServerRecord:
        policy = self.policy()
        launcher = launcher_of(self)
        self.check_request()
        try:
            choice = parse_choice(self.user_options, best_first(launcher, policy))
            check_template(self.templates, choice.template)
        except InvalidInput:
            self._remember({})  # the hub has saved them already, as they came
            raise
        record = self.launches.begin(launcher, choice, policy, self.name, used_servers(self.user))
        self.choice, self.profile = choice, find_profile(policy, choice.profile)
        # An original is wanted once; remembered, it would add a file at every start.
        self._remember(replace(choice, original=False).options())
        return record

    def _remember(self, options: dict[str, object]) -> None:
        self.user_options = options
        self.orm_spawner.user_options = options
        self.user.db.commit()

    async def _start_accepted(self, record: ServerRecord) -> Any:
        assert self.profile is not None
        assert self.choice is not None
        self.default_url = landing(self.choice.template)
        self.save_state()
        async with asyncio.timeout(self._start_seconds):
            self.apply_profile(self.profile, self.choice, record)
            url = await self.launch()
            self.step("ready", "Waiting until JupyterLab answers")
            await self.wait_until_ready(url)
        return url

    @property
    def _start_seconds(self) -> float:
        limit = float(self.start_timeout)  # a hook may have set it anew, and shorter
        return limit - SPARE_SECONDS if limit > SPARE_SECONDS else limit * 2 / 3

    async def _undo(self, failure: SessionFailed, event: ServerEvent = ServerEvent.FAILED) -> None:
        """End what was started; only then is its place free."""
        self._undoing = True
        try:
            if await super().poll() is None:
                await super().stop(now=True)
        except Exception as error:
            # The hub tries once more, and what then is left is looked for as an orphan.
            self.log.warning("What was started for %s is not ended: %s", self._log_name, error)
        finally:
            self._undoing = False
            revoke_session_tokens(self)
            self._note(event, failure.reason, failure.message, self._exit_code)

    def _failure(self, error: Exception) -> SessionFailed:
        if isinstance(error, SessionFailed):
            return error
        if isinstance(error, TimeoutError):
            return SessionFailed(
                f"It did not answer within {self._start_seconds:.0f} seconds.", "too_slow"
            )
        return self.explain(error)

    def _note(
        self, event: ServerEvent, reason: str = "", message: str = "", code: int | None = None
    ) -> None:
        if self.record is not None:
            changed = self.launches.event(
                self.record.id, event, reason=reason, message=message, exit_code=code
            )
            self.record = changed or self.record

    async def _gone(self) -> None:
        words = await self.last_words()
        event = ServerEvent.DIED if self._seen_alive else ServerEvent.LOST
        asked = self.record is not None and self.record.state is ServerState.STOPPING
        if words.exit_code == 0 and not asked:
            event, words = ServerEvent.ENDED, SHUT_DOWN
        self._note(event, words.reason, words.message, words.exit_code)
        revoke_session_tokens(self)


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
