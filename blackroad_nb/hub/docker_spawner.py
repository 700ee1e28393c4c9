"""Sessions as containers: our policy, JupyterHub's DockerSpawner, and one specification.

`core.container` decides what a container may do; here it is carried out, and what an
engine does to it is told apart: a container that ended, one that somebody removed, and
an engine that only does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from dockerspawner import DockerSpawner
from traitlets import List, default

from blackroad_nb.adapters.docker_engine import Capacity, DockerEngine, NoSuchContainer
from blackroad_nb.core.container import (
    HOME,
    PORT,
    Container,
    ContainerSpec,
    Place,
    container_name,
    container_spec,
)
from blackroad_nb.core.ending import REMOVED, words_of
from blackroad_nb.core.launch import LaunchChoice
from blackroad_nb.core.profile import Mount, Profile
from blackroad_nb.core.server import LastWords, ServerRecord
from blackroad_nb.errors import BlackRoadError, EngineUnavailable, SessionFailed
from blackroad_nb.hub.policy_mixin import PolicyMixin
from blackroad_nb.hub.work_folder import prepare_work

_P = ParamSpec("_P")
_R = TypeVar("_R")

THREADS = 8  # DockerSpawner has one, and ten launches would wait for each other
ANSWER_SECONDS = 30
POLL_SECONDS = 10.0  # an engine that takes longer is taken for one that is away
RETRY_SECONDS = 1.0
PATIENCE_SECONDS = 5.0  # for an engine that went away while a session was starting
ATTEMPTS = 4  # image, network and a leftover may each have to be seen to


class ContainerSpawner(DockerSpawner):  # type: ignore[misc]  # dockerspawner has no types
    """DockerSpawner that asks through `DockerEngine` and never mistakes silence for death."""

    _engine: DockerEngine | None = None
    object_id: Any
    object_name: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._away = False
        self._ended: Container | None = None  # as it was when it was first seen not to run
        self._patience = PATIENCE_SECONDS

    @property
    def executor(self) -> ThreadPoolExecutor:
        cls = ContainerSpawner
        if cls._executor is None:
            cls._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="docker")
        executor: ThreadPoolExecutor = cls._executor
        return executor

    @property
    def engine(self) -> DockerEngine:
        cls = ContainerSpawner
        if cls._engine is None:
            cls._engine = DockerEngine(connect=lambda: self.client)
        return cls._engine

    async def ask(self, method: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Call a method of the engine in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, lambda: method(*args, **kwargs))

    @default("client_kwargs")
    def _answer_in_time(self) -> dict[str, Any]:
        return {"timeout": ANSWER_SECONDS}

    @default("remove")
    def _remove_always(self) -> bool:
        return True  # an old container would bring its old image, limits and mounts back

    @default("pull_policy")
    def _pull_nothing(self) -> str:
        return "never"  # what is called like our image on the internet is not ours

    async def find(self) -> Container | None:
        """Return the session's container; None when there is none."""
        try:
            found = await self.ask(self.engine.inspect, self.object_id or self.object_name)
        except NoSuchContainer:
            return None
        self.object_id = found.id
        return found

    async def poll(self) -> int | None:
        """Return None while the container runs, or while nobody can know."""
        try:
            async with asyncio.timeout(POLL_SECONDS):
                found = await self.find()
        except (BlackRoadError, TimeoutError) as error:
            if not self._away:
                self.log.warning("Not knowing how %s fares: %s", self._log_name, error)
            self._away = True
            return None
        self._away = False
        if found is None:
            return 0
        self._ended = None if found.alive else found
        return None if found.alive else found.exit_code or 0

    async def get_url(self) -> str:
        """Return where the session answers, also when the hub was killed before it noted it."""
        try:
            found = await self.find()
        except BlackRoadError:
            found = None
        address = found.addresses.get(self.network_name) if found else None
        known: str = self.server.url
        return f"http://{address}:{self.port}{self.server.base_url}" if address else known

    async def stop(self, now: bool = False) -> None:
        """End and remove the container; an engine that is away is waited for."""
        patience = None if getattr(self, "_seen_alive", True) else self._patience
        try:
            async with asyncio.timeout(patience):
                await self._end_surely(now)
        except TimeoutError:
            self._patience = RETRY_SECONDS  # the hub tries again; its user has waited enough
            raise
        self.clear_state()

    async def _end_surely(self, now: bool) -> None:
        while True:
            try:
                return await self._end(now)
            except EngineUnavailable as error:
                self.log.warning("Not stopping %s yet: %s", self._log_name, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _end(self, now: bool) -> None:
        container = self.object_id or self.object_name
        if not now:
            await self.ask(self.engine.stop, container)
        await self.ask(self.engine.remove, container)
        self.object_id = ""


class BlackRoadSpawner(PolicyMixin, ContainerSpawner):
    """Starts a session as a container that can do what its profile says, and no more."""

    isolates = True

    shared_mounts: Any = List(
        help="Mounts of every session, each {source, target, read_only}; read-only unless said."
    ).tag(config=True)

    _capacity: Capacity | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.spec: ContainerSpec | None = None

    def _object_name_default(self) -> str:
        return container_name(self.hub_id, self.user.name, self.name)

    @property
    def place(self) -> Place:
        """Where this hub's containers live."""
        return Place(
            hub_id=self.hub_id,
            image=self.default_image,
            network=self.network_name,
            workspaces=self.workspaces or str(Path(self.state_folder, "workspaces").absolute()),
            templates=tuple(self.templates),
            mounts=tuple(Mount(**mount) for mount in self.shared_mounts),
        )

    def apply_profile(self, profile: Profile, choice: LaunchChoice, record: ServerRecord) -> None:
        self.spec = container_spec(profile, choice, record, self.place)
        self.image = self.spec.image
        self.object_name, self.object_id = self.spec.name, ""
        self._ended = None
        self._patience = PATIENCE_SECONDS
        self.port = PORT
        self.notebook_dir = HOME

    def session_environment(self) -> dict[str, str]:
        return {}  # the specification has it

    async def launch(self) -> tuple[str, int]:
        """Create and start the container; return where it will answer.

        Raises:
            SessionFailed: the engine refused; nothing is left behind.
            EngineUnavailable: the engine went away.
        """
        assert self.spec is not None
        # JupyterHub's own variables last: no profile replaces a session's token.
        environment = {**self.spec.environment, **self.get_env()}
        command = (*(self.cmd or self.spec.command), *self.get_args())
        spec = replace(self.spec, environment=environment, command=command)
        self.step("image", f"Taking the image {spec.image}")
        await self._check_capacity(spec)
        await self.ask(prepare_work, self.engine, spec)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._create_and_start(spec)
            except SessionFailed as error:
                if attempt == ATTEMPTS or not await self._mend(error, spec):
                    raise
        raise AssertionError  # the last attempt returns or raises

    async def _create_and_start(self, spec: ContainerSpec) -> tuple[str, int]:
        self.step("create", f"Creating the container {spec.name}")
        self.object_id = await self.ask(self.engine.create, spec)
        try:
            self.save_state()
            self.step("start", "Starting the container")
            await self.ask(self.engine.start, self.object_id, spec)
            found = await self.ask(self.engine.inspect, self.object_id)
        except BaseException:
            made, self.object_id = self.object_id, ""
            await asyncio.shield(self._discard(made))
            raise
        address = found.addresses.get(spec.network)
        if not address:  # it ended at once, so it has none any more
            words = await self.last_words()
            raise SessionFailed(words.message, words.reason)
        return address, self.port

    async def _discard(self, container: str) -> None:
        try:
            await self.ask(self.engine.remove, container)
        except BlackRoadError as error:  # it is found as an orphan later
            self.log.warning("Container %s is left behind: %s", container[:12], error)

    async def _mend(self, error: SessionFailed, spec: ContainerSpec) -> bool:
        """Do what makes another attempt worth while; False when there is nothing to do."""
        if error.reason == "image_missing" and self.pull_policy in ("ifnotpresent", "always"):
            self.step("image", f"Pulling the image {spec.image}")
            await self.ask(self.engine.pull_image, spec.image)
            return True
        if error.reason == "network_missing":
            await self.ask(self.engine.ensure_network, spec.network)
            return True
        if error.reason == "name_taken":
            left = await self.ask(self.engine.inspect, spec.name)
            if left.labels.get("blackroad.hub") != self.hub_id:
                return False
            self.log.warning("Removing what an earlier start left behind: %s", spec.name)
            await self.ask(self.engine.remove, left.id)
            return True
        return False

    async def _check_capacity(self, spec: ContainerSpec) -> None:
        cls = BlackRoadSpawner
        if cls._capacity is None or spec.memory_bytes > cls._capacity.memory_bytes:
            cls._capacity = await self.ask(self.engine.capacity)
        if spec.memory_bytes > cls._capacity.memory_bytes:
            has, asked = cls._capacity.memory_bytes / 2**30, spec.memory_bytes / 2**30
            raise SessionFailed(
                f"The profile asks for {asked:.0f} GB of memory, and this machine has {has:.0f} "
                "GB in all; choose another profile, or lower this one's memory.",
                "no_capacity",
            )

    def explain(self, error: Exception) -> SessionFailed:
        if isinstance(error, EngineUnavailable):
            return SessionFailed(error.message, "engine_gone")
        if isinstance(error, BlackRoadError):
            return SessionFailed(error.message, error.code)
        return super().explain(error)

    async def last_words(self) -> LastWords:
        """Read how the container ended, then remove it."""
        try:
            found = self._ended or await self.find()
        except BlackRoadError as error:
            return LastWords(None, "engine_gone", error.message)
        self._ended = None
        if found is None:
            return REMOVED
        words = words_of(
            found, self.spec.memory_bytes if self.spec else None, await self._printed(found.id)
        )
        await self._discard(found.id)
        self.object_id = ""
        return words

    async def _printed(self, container: str) -> str:
        try:
            return await self.ask(self.engine.last_lines, container)
        except BlackRoadError:  # the rest is known all the same
            return ""
