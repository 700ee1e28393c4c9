"""One cell on its way through a kernel: how long we wait, and what the reply tells."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from blackroad_nb.core.execution import Status
from blackroad_nb.core.outputs import error_text

if TYPE_CHECKING:
    from blackroad_nb.adapters.kernels.outputs import CellOutputs

Ending = Literal["done", "died", "late"]


@dataclass
class Request:
    """The cell that is running."""

    msg_id: str
    outputs: CellOutputs
    ended: asyncio.Future[Ending]
    idle: bool = False
    reply: Mapping[str, Any] | None = None
    heard: float = field(default_factory=monotonic)  # when its last message or its reply came

    def end(self, how: Ending) -> None:
        if not self.ended.done():
            self.ended.set_result(how)

    def renew(self) -> None:
        """Wait anew after a time-out, unless the end came at that very moment."""
        self.ended = self.ended.get_loop().create_future()
        if self.idle and self.reply is not None:
            self.end("done")


async def ended(request: Request, seconds: float | None) -> Ending:
    if seconds is None:
        return await request.ended
    timer = asyncio.get_running_loop().call_later(seconds, request.end, "late")
    try:
        return await request.ended
    finally:
        timer.cancel()


def told(request: Request) -> tuple[Status, str | None]:
    """Return the status and error that the kernel's reply tells."""
    reply = request.reply or {}
    if reply.get("status") == "ok":
        return Status.SUCCESS, None
    if reply.get("status") == "error":
        error = error_text(
            str(reply.get("ename", "Error")),
            str(reply.get("evalue", "")),
            [str(line) for line in reply.get("traceback") or ()],
        )
        return Status.ERROR, error
    return Status.ABORTED, "The kernel refused the cell: its queue had been aborted."
