"""What an operator may set: `c.BlackRoadApp.…` in a Jupyter configuration file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitlets import Bool, Float, HasTraits, Int, TraitError, Unicode, validate

from blackroad_nb.config import database_path
from blackroad_nb.errors import InvalidInput
from blackroad_nb.ports import CellLimits


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The same, read once.

    Attributes:
        warm_kernels: started kernels kept ready for headless runs.
    """

    database: Path
    record: bool
    nodelay: bool
    sparing_activity: bool
    warm_kernels: int
    warm_imports: bool
    warm_exports: bool
    cell_limits: CellLimits
    max_active_runs: int


class SettingsTraits(HasTraits):
    """Mixed into the extension app; every trait says what it is for.

    Attributes:
        config_fault: why the settings are not what the operator meant.
    """

    config_fault: str | None = None

    database = Unicode(
        help="""The SQLite file of registry and history. Empty: the environment variable
        NOTEBOOK_DB, else ~/.blackroad/notebooks.db. A folder on a network file system
        is a bad place for it."""
    ).tag(config=True)
    record = Bool(
        True,
        help="""Record every cell that any client runs on this server: source, status and
        times, not outputs. Off, only headless runs are recorded.""",
    ).tag(config=True)
    nodelay = Bool(
        True,
        help="""Send kernel messages to browsers at once (TCP_NODELAY), which takes about
        40 ms off every cell.""",
    ).tag(config=True)
    sparing_activity = Bool(
        True,
        help="""While recording, note plain output as activity of a kernel at most once a
        second, which spares the server 40 us a message. Off: note every message, as
        Jupyter Server does by itself.""",
    ).tag(config=True)
    warm_kernels = Int(
        1,
        help="""How many started kernels to keep ready for headless runs, from the first run
        on. Each takes the memory of an idle kernel. 0: start one for each run.""",
    ).tag(config=True)
    warm_imports = Bool(
        True,
        help="""Load what headless runs need in the background once the server has started,
        so that the first run need not wait for it. Takes about 1 MB.""",
    ).tag(config=True)
    warm_exports = Bool(
        True,
        help="""Start an export process, of about 80 MB, as soon as somebody looks at the
        list of formats, so that the first export need not wait for it.""",
    ).tag(config=True)
    cell_grace_seconds = Float(
        5.0,
        help="""How long a cell that was interrupted at its time-out may take to stop
        before its kernel is killed.""",
    ).tag(config=True)
    cell_output_bytes = Int(
        64 * 1024 * 1024,
        help="""Outputs of one cell of a headless run beyond this are dropped, with a line
        that says so.""",
    ).tag(config=True)
    max_active_runs = Int(16, help="How many headless runs may be active at the same time.").tag(
        config=True
    )

    @validate("warm_kernels", "cell_grace_seconds")
    def _not_negative(self, proposal: Any) -> Any:
        if proposal["value"] < 0:
            raise TraitError(f"{proposal['trait'].name} must not be negative.")
        return proposal["value"]

    @validate("cell_output_bytes", "max_active_runs")
    def _positive(self, proposal: Any) -> Any:
        if proposal["value"] < 1:
            raise TraitError(f"{proposal['trait'].name} must be at least 1.")
        return proposal["value"]

    def server_settings(self) -> ServerSettings:
        """Freeze what was configured."""
        try:
            database = database_path(os.environ, self.database or None)
        except InvalidInput as error:
            self.config_fault = self.config_fault or error.message
            database = database_path({})
        return ServerSettings(
            database=database,
            record=self.record,
            nodelay=self.nodelay,
            sparing_activity=self.sparing_activity,
            warm_kernels=self.warm_kernels,
            warm_imports=self.warm_imports,
            warm_exports=self.warm_exports,
            cell_limits=CellLimits(
                grace_seconds=self.cell_grace_seconds,
                output_bytes=self.cell_output_bytes,
            ),
            max_active_runs=self.max_active_runs,
        )
