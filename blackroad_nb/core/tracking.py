"""Which cells ran on one kernel: witnessed events go in, executions come out.

A request passes through these states; every transition lives in this file.

    Requested -> QUEUED --Busy--> BUSY --Input--> RUNNING --Idle--> recorded
                   |               |                 |
                   |               |                 +--KernelEnded, Stopped--> killed
                   |               |                 +--Idle, error--> DOUBTFUL --> recorded
                   |               +--Idle: aborted, or nothing at all when silent
                   +--KernelEnded, Stopped--> aborted
                   +--KernelEnded: died, and was idle before --> the first one killed

`Requested` comes from a websocket and may be missing (a direct client); the others
come from the kernel's IOPub channel, where each of them may be lost. An error there
does not say that the cell failed; the kernel's answer to the client does, where it
can be heard.
Source: https://jupyter-client.readthedocs.io/en/stable/messaging.html
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from blackroad_nb.core.execution import Execution, Status, execution_id
from blackroad_nb.core.open_request import (
    ERROR_LIMIT,
    OpenRequest,
    Place,
    kept_source,
    shortened,
)
from blackroad_nb.core.witness import (
    EXECUTE,
    SHUTDOWN,
    Answer,
    Answered,
    Busy,
    Ending,
    Event,
    Failed,
    Idle,
    Input,
    KernelEnded,
    Moment,
    Requested,
)

OPEN_LIMIT = 1000  # requests of one kernel that may be busy at once
QUEUE_LIMIT = 10_000  # requests of one kernel that may wait
ANSWER_SECONDS = 1.0  # how long a request that seems to have failed waits for its answer
# A relayed kernel's interrupt may be the first sign of its restart: how long one waits.
CLOSING_SECONDS = 5.0
REMEMBERED = 4096  # request names of one kernel in which a repeat is noticed

_KILLED = {
    Ending.DIED: "The kernel died while this cell ran.",
    Ending.RESTARTED: "The kernel was restarted while this cell ran.",
    Ending.SHUT_DOWN: "The kernel was shut down while this cell ran.",
    Ending.SERVER_STOPPED: "The server stopped while this cell ran.",
}
_NEVER_RAN = {
    Ending.DIED: "The kernel died before it came to this cell.",
    Ending.RESTARTED: "The kernel was restarted before it came to this cell.",
    Ending.SHUT_DOWN: "The kernel was shut down before it came to this cell.",
    Ending.SERVER_STOPPED: "The server stopped before the kernel came to this cell.",
}
_UNHEARD = "The kernel died before it reported on this cell; most likely this cell ended it."
_UNSEEN = "How this cell ended was not seen: its kernel runs behind a gateway, and no tab listened."
_MAYBE_NEVER_RAN = (
    "Whether this cell ran was not seen: its kernel runs behind a gateway, and no tab listened."
)
_CLOSING = "The kernel was shut down or restarted while this cell ran."


@dataclass(frozen=True, slots=True)
class _Doubtful:
    """A request that is over, but whose answer was not heard yet."""

    opened: OpenRequest
    ended: Moment
    sent: datetime | None


class ExecutionTracker:
    """Follows the requests of one kernel.

    `path` is the kernel's notebook right now; whoever feeds the tracker keeps it
    current. `ends_lost` counts executions whose idle message never came, `ends_unseen`
    those of a relayed kernel that were given up.

    Args:
        place: what all executions have in common.
        answer_of: returns what the kernel answered to the request of that msg_id, or
            None as long as that was not heard; asked only when an error was published,
            or the kernel is relayed. Without it, a published error is a failure.
        answered: tells at no cost whether the request of that msg_id was answered; asked for
            each that a websocket carried. A kernel that is interrupted on the way to a cell
            says neither an error nor an answer, and has not run it.
    """

    def __init__(
        self,
        place: Place,
        answer_of: Callable[[str], Answer | None] | None = None,
        answered: Callable[[str], bool] | None = None,
    ) -> None:
        self.path: str | None = None
        self.ends_lost = 0
        self.ends_unseen = 0
        self._interrupted = -math.inf  # when somebody asked for it, the last time; monotonic
        self._sight_lost = -math.inf  # when nothing was heard, the last time; monotonic
        self._place = place
        self._answer_of = answer_of
        self._answered = answered
        self._queued: OrderedDict[str, list[tuple[Requested, Moment]]] = OrderedDict()
        self._open: OrderedDict[str, OpenRequest] = OrderedDict()
        self._doubtful: list[_Doubtful] = []
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._claimed: set[str] = set()
        self._echoes = False  # whether this kernel repeats sources at all
        self._closing = False
        self._died = False  # and its restart was not seen yet
        self._idle_now = False  # what the kernel said of itself last

    @property
    def open_count(self) -> int:
        """How many requests are running or waiting, be it for their answer."""
        return len(self._open) + len(self._queued) + len(self._doubtful)

    def claim(self, msg_id: str) -> None:
        """Leave this request to whoever sent it: it yields nothing here."""
        self._claimed.add(msg_id)

    def feed(self, event: Event, now: Moment) -> tuple[Execution, ...]:
        """Take one event; return the executions that are final through it."""
        if isinstance(event, Idle):
            self._idle_now = True
            return self._idle(event, now)
        if isinstance(event, Busy):
            self._idle_now = False
            return self._busy(event, now)
        if isinstance(event, Input):
            return self._input(event, now)
        if isinstance(event, Requested):
            return self._requested(event, now)
        if isinstance(event, Failed):
            return self._failed(event)
        if isinstance(event, Answered):
            return self._settle_doubtful(now)
        return self._ended(event, now)

    def overdue(self, now: Moment, after_seconds: float) -> tuple[Execution, ...]:
        """Return what has run longer than that, as pending; each one only once.

        What waited for its answer is returned too, when the wait is over.
        """
        settled = self._settle_doubtful(now) if self._doubtful else ()
        late = [
            opened
            for opened in self._open.values()
            if not opened.announced
            and opened.source is not None
            and opened.started is not None
            and now.monotonic - opened.started.monotonic >= after_seconds
        ]
        for opened in late:
            opened.announced = True
        pending = (self._execution(opened, Status.PENDING, now) for opened in late)
        return (*settled, *pending)

    # a relayed kernel that was not heard for a while ---------------------------------

    def interrupt(self, now: Moment) -> tuple[Execution, ...]:
        """Note that somebody interrupted the kernel; return what is explained by that."""
        self._interrupted = now.monotonic
        return self._settle_doubtful(now)

    def lose_sight(self, now: Moment) -> None:
        """Note that nothing is heard now: what is open may end unseen."""
        self._sight_lost = now.monotonic
        self._idle_now = False

    @property
    def out_of_sight(self) -> bool:
        """Whether a request is open that may have ended unseen."""
        lost = self._sight_lost
        waiting = (queued for entries in self._queued.values() for _, queued in entries)
        running = (opened.started for opened in self._open.values() if opened.started)
        return any(moment.monotonic <= lost for moment in (*running, *waiting))

    def give_up_unseen(self, now: Moment) -> tuple[Execution, ...]:
        """Return those requests, as far as they are cells, as what is known of them."""
        lost = self._sight_lost
        finished: list[Execution] = []
        for opened in list(self._open.values()):
            if opened.started is not None and opened.started.monotonic <= lost:
                del self._open[opened.msg_id]
                finished.extend(self._unseen(opened, now))
        for msg_id, entries in list(self._queued.items()):
            for entry in [entry for entry in entries if entry[1].monotonic <= lost]:
                entries.remove(entry)
                opened = self._opened(msg_id)
                opened.request, opened.queued = entry
                finished.extend(self._unseen(opened, now))
            if not entries:
                del self._queued[msg_id]
        return tuple(finished)

    # events ----------------------------------------------------------------------

    def _requested(self, event: Requested, now: Moment) -> tuple[Execution, ...]:
        self._queued.setdefault(event.msg_id, []).append((event, now))
        if len(self._queued) > QUEUE_LIMIT:
            self._queued.popitem(last=False)
            self.ends_lost += 1
        return ()

    def _busy(self, event: Busy, now: Moment) -> tuple[Execution, ...]:
        if event.msg_type == SHUTDOWN:
            self._closing = True
            return self._settle_closing(now)
        if event.msg_type != EXECUTE or event.msg_id in self._claimed:
            return ()
        finished = self._close_previous(event, now)
        self._begin(event, now)
        return finished

    def _input(self, event: Input, now: Moment) -> tuple[Execution, ...]:
        self._echoes = True
        if event.msg_id in self._claimed:
            return ()
        finished: tuple[Execution, ...] = ()
        opened = self._open.get(event.msg_id)
        if opened is None or opened.source is not None:  # its busy message was lost
            finished = self._close_previous(event, now)
            opened = self._begin(event, now)
        opened.source = kept_source(event.source)
        opened.execution_count = event.execution_count
        return finished

    def _failed(self, event: Failed) -> tuple[Execution, ...]:
        opened = self._open.get(event.msg_id)
        if opened is not None:
            opened.error = shortened(event.error, ERROR_LIMIT)
            opened.killed = event.closing or self._closing
        return ()

    def _idle(self, event: Idle, now: Moment) -> tuple[Execution, ...]:
        opened = self._open.pop(event.msg_id, None)
        if opened is None:
            self._claimed.discard(event.msg_id)
            return ()
        if opened.error is not None or self._place.relayed or self._is_unanswered(opened):
            return self._weigh(_Doubtful(opened, now, event.sent))
        return self._finish(opened, now, event.sent)

    def _ended(self, event: KernelEnded, now: Moment) -> tuple[Execution, ...]:
        follows, self._died = self._died, event.ending is Ending.DIED
        if follows and event.ending is Ending.RESTARTED:
            return ()  # what was sent since the death is for the new process
        finished: list[Execution] = []
        if event.ending in (Ending.RESTARTED, Ending.SHUT_DOWN):
            finished.extend(self._settle_closing(now))
        finished.extend(self._settle_doubtful(now, wait=False))
        cause = f" {event.cause}" if event.cause else ""
        for opened in self._open.values():
            if opened.source is None and not opened.recover_source():
                continue
            opened.error = _KILLED[event.ending] + cause
            finished.append(self._execution(opened, Status.KILLED, now))
        finished.extend(self._ended_waiting(event, cause, now))
        self._open.clear()
        self._queued.clear()
        self._claimed.clear()
        self._closing = self._idle_now = False
        return tuple(finished)

    def _ended_waiting(self, event: KernelEnded, cause: str, now: Moment) -> Iterator[Execution]:
        """Close what waited: an idle kernel took the first one, and died without a word."""
        taken = event.ending is Ending.DIED and self._idle_now and not self._open
        for request, queued in chain.from_iterable(self._queued.values()):
            opened = self._opened(request.msg_id)
            opened.request, opened.queued = request, queued
            opened.started = queued if taken else now
            opened.error = (_UNHEARD if taken else _NEVER_RAN[event.ending]) + cause
            if opened.recover_source():
                yield self._execution(opened, Status.KILLED if taken else Status.ABORTED, now)
            taken = False

    # steps -----------------------------------------------------------------------

    def _begin(self, event: Busy | Input, now: Moment) -> OpenRequest:
        opened = self._opened(event.msg_id)
        opened.subshell, opened.started, opened.sent = event.subshell, now, event.sent
        waiting = self._queued.get(event.msg_id)
        if waiting:
            opened.request, opened.queued = waiting.pop(0)
            if not waiting:
                del self._queued[event.msg_id]
        self._open[event.msg_id] = opened
        return opened

    def _opened(self, msg_id: str) -> OpenRequest:
        """Name a new execution; a client may use one msg_id for all its requests."""
        repeats = self._seen.pop(msg_id, 0)
        self._seen[msg_id] = repeats + 1
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        name = f"{msg_id}#{repeats}" if repeats else msg_id
        return OpenRequest(msg_id, execution_id(self._place.kernel_id, name))

    def _close_previous(self, event: Busy | Input, now: Moment) -> tuple[Execution, ...]:
        """A (sub)shell runs one request at a time: a new one tells that the last is over."""
        if not self._open:
            return ()
        over = [
            opened
            for opened in self._open.values()
            if opened.subshell == event.subshell or opened.msg_id == event.msg_id
        ]
        if not over and len(self._open) >= OPEN_LIMIT:
            over = [next(iter(self._open.values()))]
        finished: list[Execution] = []
        for opened in over:
            del self._open[opened.msg_id]
            self.ends_lost += 1
            if opened.started is not None and opened.started.monotonic <= self._sight_lost:
                finished.extend(self._unseen(opened, now))
            elif opened.error is not None or self._place.relayed:
                finished.extend(self._weigh(_Doubtful(opened, now, None)))
            else:
                finished.extend(self._finish(opened, now, None))
        return tuple(finished)

    def _weigh(self, doubtful: _Doubtful, waited: float = 0.0) -> tuple[Execution, ...]:
        """Ask the answer how a request ended, when what was published leaves that open."""
        opened = doubtful.opened
        if waited < CLOSING_SECONDS and self._may_be_closing(opened):
            self._doubtful.append(doubtful)
            return ()
        # One msg_id for several requests: whose answer it is cannot be told.
        alone = opened.request is not None and self._seen.get(opened.msg_id) == 1
        if self._answer_of is not None and alone and not opened.killed:
            answer = self._answer_of(opened.msg_id)
            if answer is None and waited < ANSWER_SECONDS:
                self._doubtful.append(doubtful)
                return ()
            if answer is not None and answer.status == "ok":
                opened.error = None
                if opened.source is None and not opened.recover_source():
                    return ()
            elif answer is not None and answer.status == "error" and opened.error is None:
                opened.error = answer.error or "Error"
        return self._finish(opened, doubtful.ended, doubtful.sent)

    def _settle_doubtful(self, now: Moment, wait: bool = True) -> tuple[Execution, ...]:
        waiting, self._doubtful = self._doubtful, []
        return tuple(
            execution
            for doubtful in waiting
            for execution in self._weigh(
                doubtful, now.monotonic - doubtful.ended.monotonic if wait else math.inf
            )
        )

    def _is_unanswered(self, opened: OpenRequest) -> bool:
        asked = self._answered is not None and opened.request is not None
        return asked and not self._answered(opened.msg_id)  # type: ignore[misc]

    def _may_be_closing(self, opened: OpenRequest) -> bool:
        return (
            self._place.relayed
            and not opened.killed
            and opened.error is not None
            and opened.error.startswith("KeyboardInterrupt")
            and opened.started is not None
            and opened.started.monotonic > self._interrupted
        )

    def _settle_closing(self, now: Moment) -> tuple[Execution, ...]:
        """What was interrupted just now was so because its kernel is to end."""
        if not self._doubtful:
            return ()
        for doubtful in self._doubtful:
            opened = doubtful.opened
            unanswered = opened.error is None and self._is_unanswered(opened)
            opened.killed = unanswered or self._may_be_closing(opened)
        return self._settle_doubtful(now)

    def _finish(
        self, opened: OpenRequest, now: Moment, sent: datetime | None
    ) -> tuple[Execution, ...]:
        status = Status.SUCCESS if opened.error is None else Status.ERROR
        if opened.source is None:
            if not opened.recover_source():
                return ()
            if opened.error is None and self._echoes:
                status = Status.ABORTED
        if opened.killed:
            status = Status.KILLED
            opened.error = "\n".join(filter(None, (_CLOSING, opened.error)))
        return (self._execution(opened, status, now, sent),)

    def _unseen(self, opened: OpenRequest, now: Moment) -> tuple[Execution, ...]:
        """Give a request up: neither how nor when it ended is known."""
        began = opened.started is not None
        if opened.source is None and not opened.recover_source():
            return ()
        self.ends_unseen += 1
        opened.error = _UNSEEN if began else _MAYBE_NEVER_RAN
        row = self._execution(opened, Status.KILLED if began else Status.ABORTED, now)
        return (replace(row, finished_at=None, duration_ms=None),)

    def _execution(
        self, opened: OpenRequest, status: Status, now: Moment, sent: datetime | None = None
    ) -> Execution:
        opened.path = self.path
        return opened.execution(self._place, status, now, sent)
