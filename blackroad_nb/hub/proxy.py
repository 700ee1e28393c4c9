"""The proxy in front of hub and sessions: it outlives a killed hub, and is mended itself.

`jupyterhub-traefik-proxy` writes the routes into a file that Traefik watches, and leaves
two things open that this subclass closes: a Traefik left over from a killed hub blocks the
next start, and one that died is never noticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bcrypt
from jupyterhub_traefik_proxy.fileprovider import TraefikFileProviderProxy
from tornado.httpclient import HTTPClientError
from traitlets import Float, Unicode, default

from blackroad_nb.adapters.process_files import claim, end, holder
from blackroad_nb.errors import HubUnreachable

_STEP_SECONDS = 0.01
_ADOPTION_SECONDS = 3.0
_START_SECONDS = 20.0
# Its secret is 256 random bits, so the cheapest hash is as good as a slow one; Traefik
# computes it for every request to its own interface.
_HASH_ROUNDS = 4

STATIC_CONFIG: Mapping[str, Any] = {
    # It neither asks its makers for a new version nor tells them anything.
    "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
}
_ENTRY_POINT: Mapping[str, Any] = {
    # A large upload may take longer than the default minute.
    "transport": {"respondingTimeouts": {"readTimeout": "0s"}},
    # Names of files may hold any character; Jupyter's servers decode and check them.
    "http": {
        "encodedCharacters": {
            f"allowEncoded{name}": True
            for name in (
                "Slash", "BackSlash", "NullCharacter", "Semicolon", "Percent",
                "QuestionMark", "Hash",
            )
        }
    },
}  # fmt: skip


class LastingTraefikProxy(TraefikFileProviderProxy):  # type: ignore[misc]  # it has no types
    """Traefik with routes in a file, found again after a kill -9 of the hub."""

    claim_file = Unicode(
        config=True, help="The file that the proxy's process keeps locked while it lives."
    )
    check_seconds = Float(
        0.25, config=True, help="How often to look whether the proxy's process lives."
    )

    _watch: asyncio.Task[None] | None = None

    @default("traefik_api_hashed_password")
    def _cheap_hash(self) -> str:
        salt = bcrypt.gensalt(_HASH_ROUNDS)
        return bcrypt.hashpw(self.traefik_api_password.encode(), salt).decode("ascii")

    @property
    def _claim_path(self) -> Path:
        return Path(self.claim_file or f"{self.static_config_file}.claim")

    async def start(self) -> None:
        """Take over the proxy that runs with this very configuration, or start one."""
        before = self._static_config_text()
        self.extra_static_config = {
            **STATIC_CONFIG,
            "entryPoints": {self.traefik_entrypoint: dict(_ENTRY_POINT)},
            **self.extra_static_config,  # type: ignore[has-type]
        }
        await self._setup_traefik_static_config()
        await self._setup_traefik_dynamic_config()
        if holder(self._claim_path) is None:
            await self._start_anew()
        elif before != self._static_config_text() or not await self._answers(_ADOPTION_SECONDS):
            self.log.info("Replacing a proxy that was left over with other settings")
            await asyncio.to_thread(end, self._claim_path)
            await self._start_anew()
        else:
            self.log.info("Going on with the proxy that is running already")
        self._watch = asyncio.create_task(self._mend_when_dead())
        # The hub adds it last, once its services are up; pages need not wait for those.
        await self.add_hub_route(self.hub)

    async def stop(self) -> None:
        """End the proxy and remove its configuration."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await asyncio.to_thread(end, self._claim_path)
        self._reap()
        self._cleanup()

    def _start_traefik(self) -> None:
        self._reap()
        own = claim(self._claim_path)
        if own is None:
            raise RuntimeError("another proxy of this state folder is running")
        try:
            self.traefik_process = subprocess.Popen(
                [_program(), "--configfile", os.path.abspath(self.static_config_file)],
                env={**os.environ, **self.traefik_env},
                pass_fds=(own.descriptor,),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in a terminal is the hub's to handle
                # The child names itself, so that a kill of the hub cannot come between.
                preexec_fn=lambda: own.name_holder(os.getpid()),  # noqa: PLW1509
            )
        finally:
            own.release()

    async def _start_anew(self) -> None:
        self._start_traefik()
        if not await self._answers(_START_SECONDS):
            await asyncio.to_thread(end, self._claim_path)
            raise HubUnreachable(
                f"the proxy did not come up at {self.public_url}: its port may have been taken "
                "a moment ago; start it again."
            )

    async def _answers(self, seconds: float) -> bool:
        """Wait until the proxy has read its configuration; False when it dies or lags."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and holder(self._claim_path) is not None:
            try:
                await self._traefik_api_request(f"/api/entrypoints/{self.traefik_entrypoint}")
            except (HTTPClientError, OSError):
                await asyncio.sleep(_STEP_SECONDS)
            else:
                return True
        return False

    async def _mend_when_dead(self) -> None:
        while True:
            await asyncio.sleep(self.check_seconds)
            if holder(self._claim_path) is not None:
                continue
            self.log.error("The proxy died; starting it again with the same routes")
            try:
                await self._start_anew()
            except (OSError, RuntimeError, HubUnreachable) as error:
                self.log.error("The proxy could not be started again: %s", error)  # noqa: TRY400
            else:
                self.log.info("The proxy is back")

    async def _wait_for_route(self, routespec: str) -> None:
        """Wait in short steps: the usual growing ones cost a start a fifth of a second."""
        deadline = time.monotonic() + self.check_route_timeout
        while not await self._knows(routespec):
            if time.monotonic() > deadline:
                raise TimeoutError(f"Traefik did not take up the route {routespec}")
            await asyncio.sleep(_STEP_SECONDS)

    async def _knows(self, routespec: str) -> bool:
        try:
            return bool(
                await self._check_for_traefik_service(routespec, "service")
                and await self._check_for_traefik_service(routespec, "router")
            )
        except OSError:  # it died just now and will be mended
            return False

    def _reap(self) -> None:
        if self.traefik_process is not None:
            self.traefik_process.poll()

    def _static_config_text(self) -> bytes:
        file = Path(self.static_config_file)
        return file.read_bytes() if file.exists() else b""


def _program() -> str:
    """Return Traefik's program: the one installed with this Python comes first."""
    beside = os.path.join(os.path.dirname(sys.executable), "traefik")
    return beside if os.access(beside, os.X_OK) else shutil.which("traefik") or "traefik"
