"""Sessions of `blackroad-nb up`: processes of its owner, found again whatever was killed."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from traitlets import Unicode

from blackroad_nb.adapters.process_files import Claim, claim, end, holder, holders
from blackroad_nb.errors import SessionFailed
from blackroad_nb.hub.launches import launches_of
from blackroad_nb.hub.local_spawner import LocalSpawner

_log = logging.getLogger("JupyterHub")

SESSION = "session-"
SWEEP_SECONDS = 10.0

_OPTIONS = (
    # Other users of this machine cannot read along (jupyter_client 8.10 or newer).
    "--KernelManager.transport_encryption=auto",
    # An editable install brings no data files, so the extension is named here.
    "--ServerApp.jpserver_extensions={'jupyterlab': True, 'blackroad_nb': True}",
)


async def sweep_for_ever(claims: Path, state: Path) -> None:
    """End sessions that no record holds a place for: a killed hub may leave such.

    One that is seen twice is none; a start that is under way has its record first.
    """
    suspected: set[str] = set()
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        held = {name.removeprefix(SESSION) for name in holders(claims, f"{SESSION}*")}
        orphans = {each for each in held if launches_of(state).get(each) is None}
        for each in orphans & suspected:
            _log.warning("Ending the process of the session %s, which nobody owns", each)
            await asyncio.to_thread(end, claims / f"{SESSION}{each}", group=True)
        suspected = orphans


class UpSpawner(LocalSpawner):
    """A session that is the owner's own: with her home, her database and her work folder."""

    owner = Unicode(config=True, help="Whose hub this is.")
    work_root = Unicode(config=True, help="The owner's folder; none takes one in the state.")
    database = Unicode(config=True, help="Where cells are recorded (`NOTEBOOK_DB`).")
    claims = Unicode(config=True, help="The folder of the files that living processes lock.")

    _claim: Claim | None = None

    @property
    def folder(self) -> Path:
        if self.work_root and self.user.name == self.owner:
            return Path(self.work_root)
        return super().folder

    async def launch(self) -> Any:
        self._claim = claim(self._claim_path)
        if self._claim is None:
            raise SessionFailed("This session is running already.", "failed")
        try:
            return await super().launch()
        finally:
            self._claim.release()
            self._claim = None

    def process_options(self, log: Any) -> dict[str, Any]:
        assert self._claim is not None
        return {**super().process_options(log), "pass_fds": (self._claim.descriptor,)}

    def make_preexec_fn(self, _name: str) -> Callable[[], None]:
        """Name the process before its program begins, so that no kill can come between."""
        own, folder = self._claim, self.home_dir
        assert own is not None

        def prepare() -> None:
            own.name_holder(os.getpid())
            os.chdir(folder)

        return prepare

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        if self.record is not None:  # surer than a number: it tells the dead from the living
            self.pid = holder(self._claim_path) or 0

    async def _signal(self, sig: int) -> bool:
        if self.record is not None and holder(self._claim_path) is None:
            return False
        return bool(await super()._signal(sig))

    @property
    def _claim_path(self) -> Path:
        assert self.record is not None
        return Path(self.claims) / f"{SESSION}{self.record.id}"

    def get_args(self) -> list[str]:
        return [*super().get_args(), *_OPTIONS]

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        # Nothing is kept apart here, so the owner has what is hers: keys, tools, settings.
        for name in ("HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "XDG_RUNTIME_DIR"):
            if name in os.environ:
                env[name] = os.environ[name]
        return env

    def session_environment(self) -> dict[str, str]:
        env = super().session_environment()
        if self.database:
            env["NOTEBOOK_DB"] = self.database
        for name in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
            if name in os.environ:
                env[name] = os.environ[name]
        return env
