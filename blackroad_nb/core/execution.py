"""An execution: one execute_request from its arrival until its kernel is idle."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha1
from uuid import UUID

_NAMESPACE = UUID("6b1f6a3e-5f0e-4f64-9a43-0d1b7a5f1c11").bytes


class Status(StrEnum):
    """How an execution stands; all but `pending` are final."""

    PENDING = "pending"
    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    ABORTED = "aborted"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Execution:
    """One row of the history.

    Attributes:
        id: the same for every witness of the same request, see `execution_id`.
        notebook_id: the registry row; None when only `path` is known yet (the store
            finds or registers the notebook) or when there is none (a console).
        path: absolute path of the notebook when the cell finished.
        output: JSON array of nbformat outputs; None when outputs were not kept.
        error: `Name: value` and the traceback without colours.
        origin: `interactive` (seen on a kernel) or `run` (headless).
        user_source: where `user` comes from: `hub`, `identity`, `token` or `os`.
        server: which server process recorded it.
        seq: the row's place in the history; None before it is stored.
    """

    id: str
    status: Status
    source: str
    started_at: datetime
    finished_at: datetime | None = None
    duration_ms: int | None = None
    notebook_id: str | None = None
    path: str | None = None
    cell_index: int | None = None
    cell_id: str | None = None
    execution_count: int | None = None
    output: str | None = None
    error: str | None = None
    origin: str = "interactive"
    run_id: str | None = None
    kernel_id: str | None = None
    user: str | None = None
    user_source: str | None = None
    server: str | None = None
    queued_at: datetime | None = None
    seq: int | None = None


def execution_id(kernel_id: str, msg_id: str) -> str:
    """Name an execution after its request, so that two witnesses count it once.

    A version 5 UUID, written out by hand because `uuid.uuid5` takes three times as
    long and every cell pays for it.
    """
    name = f"{kernel_id}/{msg_id}".encode()
    digest = sha1(_NAMESPACE + name, usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"
