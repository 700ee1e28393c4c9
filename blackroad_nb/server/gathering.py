"""When what the kernels publish is read: soon, or seldom while very much comes.

Each reading wakes code that has slept, and ends in a transaction. A busy server reads and
writes for all kernels together, so that it has fewer of both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tornado.ioloop import IOLoop

GATHER_SECONDS = 0.05  # how long messages may gather
BUSY_SECONDS = 0.4  # the same while they pour in; below open_request.CLOCK_TOLERANCE_SECONDS
POURING = 12  # messages in one reading that double the time to the next; a cell makes three
READ_AT_ONCE = 500  # messages of one kernel; then others get their turn


class Tap(Protocol):
    """What is read: the messages of one kernel."""

    @property
    def open(self) -> bool: ...

    def drain(self) -> int:
        """Read what has come, READ_AT_ONCE at most; return how many messages that were."""
        ...


class Gathering:
    """Has all taps read that something has come for, at one time.

    Args:
        on_read: called after each reading.
        on_fault: is told why a tap could not be read; the others are read all the same.
        call_later: has an action done after some seconds; that of the event loop.
    """

    def __init__(
        self,
        on_read: Callable[[], None],
        on_fault: Callable[[Exception], None],
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        self._on_read = on_read
        self._on_fault = on_fault
        self._call_later = call_later or _call_later
        self._due: dict[Tap, None] = {}
        self._seconds = GATHER_SECONDS
        self._waits = False

    def note(self, tap: Tap) -> None:
        """Something has come for this tap."""
        self._due[tap] = None
        self._read_after(self._seconds)

    def _read_after(self, seconds: float) -> None:
        if not self._waits:
            self._waits = True
            self._call_later(seconds, self._read)

    def _read(self) -> None:
        self._waits = False
        due, self._due = self._due, {}
        counts: dict[Tap, int] = {}
        for tap in due:
            try:
                counts[tap] = tap.drain() if tap.open else 0
            except Exception as error:  # one kernel must not silence the others
                self._on_fault(error)
        pouring = sum(counts.values()) >= POURING
        self._seconds = min(2 * self._seconds, BUSY_SECONDS) if pouring else GATHER_SECONDS
        for tap, count in counts.items():
            if count == READ_AT_ONCE:  # more may wait
                self._due[tap] = None
        if self._due:
            self._read_after(0)
        self._on_read()


def _call_later(seconds: float, action: Callable[[], None]) -> None:
    IOLoop.current().call_later(seconds, action)
