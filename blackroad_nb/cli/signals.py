"""Signals that ask this process to end, taken as Ctrl-C is: what was begun is tidied up."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPT, TERMINATE = signal.SIGINT, signal.SIGTERM
HANG_UP = getattr(signal, "SIGHUP", None)  # the terminal was closed; Windows has none


class Interrupted(KeyboardInterrupt):
    """A signal came that asks this process to end.

    Args:
        number: which one.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def raising(numbers: Iterable[int]) -> Iterator[None]:
    """Raise `Interrupted` when one of the signals comes, for the length of a `with`."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def noting(numbers: Iterable[int]) -> Iterator[list[int]]:
    """Note signals for the length of a `with`; whoever runs in it looks when it is safe.

    Raised in the middle of an import or of asyncio's own set-up, an exception is lost there,
    or leaves half of it behind. The second signal is raised all the same.
    """
    noted: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        noted.append(number)
        if len(noted) > 1:
            raise Interrupted(number)

    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def endings() -> tuple[int, ...]:
    """Return what, besides Ctrl-C, is to end a run that this process makes itself.

    `nohup` has hang-ups ignored, and that is left so.
    """
    if HANG_UP is None or signal.getsignal(HANG_UP) == signal.SIG_IGN:
        return (TERMINATE,)
    return (TERMINATE, HANG_UP)
