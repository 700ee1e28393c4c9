"""One kernel that is watched: where it is heard, and who follows its requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from blackroad_nb.adapters.kernels.host import exit_reason
from blackroad_nb.core.open_request import Place
from blackroad_nb.core.tracking import ExecutionTracker
from blackroad_nb.core.witness import Answer, Event
from blackroad_nb.server.answers import Answers, buffered_for
from blackroad_nb.server.gathering import Gathering
from blackroad_nb.server.iopub_source import Frames, Source, source_of
from blackroad_nb.server.iopub_tap import IopubTap, MessageReader, Reader
from blackroad_nb.server.relay import Relay, RelayedReader
from blackroad_nb.server.websocket_tap import Sent

M = TypeVar("M")


@dataclass(slots=True)
class Watched:
    """A kernel with its tracker and its tap.

    Attributes:
        sent: what websockets carried to it and nobody has read yet.
        answers: the replies of a kernel of this machine.
        relay: the websockets of one behind a gateway.
    """

    kernel: Any
    tracker: ExecutionTracker
    tap: IopubTap[Any]
    answers: Answers | None = None
    relay: Relay | None = None
    sent: list[Sent] = field(default_factory=list)


class Ears:
    """Opens taps.

    Args:
        on_events: gets a kernel's id and what it published, in order; must not raise.
        on_fault: is told where something went wrong, and what.
        on_read: called when all that had come was read.
        sparing: see `SharedSource`.
    """

    def __init__(
        self,
        on_events: Callable[[str, list[Event]], None],
        on_fault: Callable[[str, Exception], None],
        on_read: Callable[[], None],
        sparing: bool,
    ) -> None:
        self._on_events = on_events
        self._on_fault = on_fault
        self._sparing = sparing
        self._gathering = Gathering(on_read, lambda error: on_fault("iopub", error))

    def open(self, place: Place, kernel: Any) -> Watched:
        """Begin to listen to a kernel."""
        return (self._relayed if place.relayed else self._local)(place, kernel)

    def _local(self, place: Place, kernel: Any) -> Watched:
        answers = Answers(buffered_for(kernel.parent, place.kernel_id))

        def answer_of(msg_id: str) -> Answer | None:
            try:
                return answers.of(msg_id)
            except Exception as error:  # the row must not be lost for it
                self._on_fault("answers", error)
                return None

        tracker = ExecutionTracker(place, answer_of, answers.heard)
        return Watched(kernel, tracker, self.tap(place.kernel_id, kernel), answers)

    def tap(self, kernel_id: str, kernel: Any) -> IopubTap[Frames]:
        """Listen to a kernel of this machine (again, when its stream was closed)."""
        source = source_of(kernel, self._sparing)
        return self._tapped(kernel_id, source, MessageReader(kernel))

    def _relayed(self, place: Place, kernel: Any) -> Watched:
        relay, reader = Relay(kernel), RelayedReader()
        tracker = ExecutionTracker(place, reader.answer_of)
        return Watched(kernel, tracker, self._tapped(place.kernel_id, relay, reader), relay=relay)

    def _tapped(self, kernel_id: str, source: Source[M], reader: Reader[M]) -> IopubTap[M]:
        return IopubTap(
            source,
            reader,
            lambda events: self._on_events(kernel_id, events),
            lambda error: self._on_fault("iopub", error),
            self._gathering.note,
        )


def cause_of(kernel: Any) -> str | None:
    """Say how the kernel's process ended, when that is known."""
    process = getattr(getattr(kernel, "provisioner", None), "process", None)
    code = getattr(process, "returncode", None)
    return f"It {exit_reason(code)}." if isinstance(code, int) else None
