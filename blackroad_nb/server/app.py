"""The extension as Jupyter Server sees it: settings, routes, start and stop."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import TraitError

from blackroad_nb.server.handlers import url_handlers
from blackroad_nb.server.handlers.base import SETTING
from blackroad_nb.server.settings import SettingsTraits
from blackroad_nb.server.wiring import Parts


class BlackRoadApp(SettingsTraits, ExtensionApp):
    """Notebooks that run, are recorded and come back.

    Nothing that can go wrong here keeps the server from starting or a cell from
    running: what failed is logged and stands in GET /blackroad/health.
    """

    name = "blackroad_nb"
    extension_url = "/blackroad/health"
    load_other_extensions = True

    parts: Parts

    def update_config(self, config: Any) -> None:
        """Take configuration; a wrong one is said in health instead of losing the extension."""
        try:
            super().update_config(config)
        except TraitError as error:
            # Nothing of it was applied, so the parts must not run as if it had been.
            self.config_fault = str(error)
            self.log.error("BlackRoadApp is configured wrongly: %s", error)  # noqa: TRY400

    def initialize_settings(self) -> None:
        """Put the parts together and hook the recorder in."""
        logger = logging.getLogger("blackroad_nb")
        logger.parent = self.log  # what the parts say stands in the server's log
        assert self.serverapp is not None
        root = Path(os.path.realpath(self.serverapp.root_dir))
        settings = self.server_settings()  # may find one more fault
        self.parts = Parts(settings, self.serverapp, root, self.config_fault)
        self.parts.attach(self.settings)
        self.parts.prepare_workspace()
        self.settings[SETTING] = self.parts

    def initialize_handlers(self) -> None:
        """Add the routes under /blackroad."""
        self.handlers.extend(url_handlers())

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:  # noqa: ARG002
        # Without a terminal Jupyter leaves Ctrl-C to Python, which stops no extension:
        # runs and rows would be lost, and the database's threads would hang the exit.
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupted)
        await self.parts.start()
        # What a server has loaded stays for as long as it lives. Python would look through all
        # of it now and then, for 110 to 190 ms in which nobody gets an answer.
        gc.freeze()

    def _interrupted(self, *_: object) -> None:
        assert self.serverapp is not None
        self.serverapp.stop(from_signal=True)

    @property
    def _came_up(self) -> bool:
        # Jupyter asks and stops what failed to load, too; an error would end its clean-up.
        return hasattr(self, "parts")

    def current_activity(self) -> dict[str, int] | None:
        """Tell Jupyter what is going on, so that it does not stop as idle."""
        active = self.parts.active_runs if self._came_up else 0
        return {"headless runs": active} if active else None

    async def stop_extension(self) -> None:
        """Cancel runs, write what was recorded, close the database; never hangs."""
        if self._came_up:
            await self.parts.close()
        gc.unfreeze()
        if signal.getsignal(signal.SIGINT) == self._interrupted:
            signal.signal(signal.SIGINT, signal.default_int_handler)
