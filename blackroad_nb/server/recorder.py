"""Every cell that runs on this server's kernels goes into the history.

Two taps are joined on the request's msg_id: what the kernels publish (it tells what
ran, for every client) and what websockets carry in (it tells the cell and the user).
Both are attached while the server runs and replace nothing that was configured. A
fault in them is counted and logged, and never reaches a cell.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import zmq
from tornado.ioloop import PeriodicCallback

from blackroad_nb.core.execution import Execution
from blackroad_nb.core.open_request import Place
from blackroad_nb.core.tracking import ExecutionTracker
from blackroad_nb.core.witness import (
    Ending,
    Event,
    KernelEnded,
    Moment,
)
from blackroad_nb.managers.recording import RecordWriter
from blackroad_nb.server.iopub_source import (
    Frames,
    activity_stream,
    quicken,
)
from blackroad_nb.server.names import Names
from blackroad_nb.server.relay import Relay, is_relayed
from blackroad_nb.server.session_paths import SessionPaths
from blackroad_nb.server.watched import Ears, Watched, cause_of
from blackroad_nb.server.websocket_tap import (
    SETTING,
    Sent,
    WatchedConnection,
    improved,
    read_request,
)

KERNEL_ACTIONS = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"
CONTENTS_ACTIONS = "https://events.jupyter.org/jupyter_server/contents_service/v1"
TICK_SECONDS = 0.5
LOG_PAUSE_SECONDS = 60.0
ACTIVITY_WAIT_SECONDS = 1.0
CLAIM_LIMIT = 1000  # claims that may wait for their kernel to be watched

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """What to do, and under which names.

    Attributes:
        enabled: record executions.
        nodelay: take the 40 ms delay out of kernel websockets.
        sparing_activity: note plain output as activity at most once a second.
        pending_seconds: an execution that runs longer is stored before it ends.
        server: names this server in each row; None makes it from host and port.
    """

    enabled: bool = True
    nodelay: bool = True
    sparing_activity: bool = True
    pending_seconds: float = 1.0
    server: str | None = None


class ServerRecorder:
    """Attaches both taps to a Jupyter Server and feeds a writer.

    Args:
        serverapp: the running `ServerApp` (kernel, session and contents managers, events).
        writer: started by `start` and closed by `stop`; may be given to `start` instead.
        options: see `RecorderOptions`.
    """

    def __init__(
        self,
        serverapp: Any,
        writer: RecordWriter | None = None,
        options: RecorderOptions | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._app = serverapp
        self._writer = writer
        self._options = options or RecorderOptions()
        self._names = Names(environ)
        self._watched: dict[str, Watched] = {}
        self._claims: deque[tuple[str, str]] = deque(maxlen=CLAIM_LIMIT)
        self._ended: Counter[str] = Counter()  # what health counts, of kernels that are gone
        self._paths: SessionPaths | None = None
        self._ears = Ears(self._feed, self.on_fault, self._store, self._options.sparing_activity)
        self._ticker: PeriodicCallback | None = None
        self._server: str | None = None
        self._faults: Counter[str] = Counter()
        self._last_fault: str | None = None
        self._fault_logged_at: dict[str, float] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._started = False

    # life ------------------------------------------------------------------------

    def wrap_websocket(self, settings: dict[str, Any]) -> None:
        """Improve the websocket connection class in the web application's settings."""
        base = settings.get(SETTING)
        if isinstance(base, type) and not issubclass(base, WatchedConnection):
            watcher = self if self._options.enabled else None
            settings[SETTING] = improved(base, watcher, self._options.nodelay)

    async def start(self, writer: RecordWriter | None = None) -> None:
        """Watch the kernels that run already and all that start from now on."""
        self._writer = writer or self._writer
        if not self._options.enabled or self._started or self._writer is None:
            return
        self._started = True
        await self._writer.start()
        self._server = self._options.server or self._names.server(self._app.port)
        self._paths = SessionPaths(self._app.session_manager, self._app.contents_manager)
        self._listen()
        # Another extension may have put its own class there meanwhile.
        self.wrap_websocket(self._app.web_app.settings)
        for kernel_id in self._app.kernel_manager.list_kernel_ids():
            self._guarded("attach", self._watch, kernel_id)
        self._ticker = PeriodicCallback(self._tick, TICK_SECONDS * 1000)
        self._ticker.start()

    async def stop(self) -> None:
        """Close what still runs in the record, write everything, let go of the kernels."""
        if not self._started:
            return
        self._started = False
        if self._ticker is not None:
            self._ticker.stop()
        self._unlisten()
        for kernel_id in list(self._watched):
            self._guarded("detach", self._unwatch, kernel_id, Ending.SERVER_STOPPED)
        if self._writer is not None:
            await self._writer.close()

    def claim(self, kernel_id: str, msg_id: str) -> None:
        """Leave a request to whoever sent it, who records it himself."""
        watched = self._watched.get(kernel_id)
        if watched is not None:
            watched.tracker.claim(msg_id)
        else:
            self._claims.append((kernel_id, msg_id))

    def health(self) -> dict[str, Any]:
        """Say how recording stands; JSON-ready. `state` is ok, behind, broken or off."""
        writer = self._writer.health() if self._writer is not None else {}
        state = writer.get("state", "ok") if self._started else "off"
        for watched in self._watched.values():
            self._read_sent(watched, _now())
        trackers = [watched.tracker for watched in self._watched.values()]
        return {
            **writer,
            "state": state,
            "reason": writer.get("reason") if self._started else "Recording is not switched on.",
            "kernels": len(trackers),
            "open": sum(tracker.open_count for tracker in trackers),
            "ends_lost": self._ended["lost"] + sum(one.ends_lost for one in trackers),
            "behind_gateway": sum(w.relay is not None for w in self._watched.values()),
            "ends_unseen": self._ended["unseen"] + sum(one.ends_unseen for one in trackers),
            "faults": dict(self._faults),
            "last_fault": self._last_fault,
        }

    # what the taps tell ----------------------------------------------------------

    def on_sent(self, kernel_id: str, sent: Sent) -> None:
        """A websocket carries a message to this kernel."""
        if not self._started:
            return
        if kernel_id not in self._watched:
            self._watch(kernel_id)
        self._watched[kernel_id].sent.append(sent)

    def on_answer(self, kernel_id: str, frames: Frames) -> None:
        """A kernel answered a websocket; must not raise."""
        watched = self._watched.get(kernel_id)
        if watched is not None and watched.answers is not None:
            watched.answers.keep(frames)

    def on_relay(self, kernel_id: str, connection: Any) -> None:
        """A websocket to a kernel behind a gateway is opening."""
        if self._started:
            self._watch(kernel_id)
            watched = self._watched[kernel_id]
            if watched.relay is not None:
                if not watched.relay.live:
                    watched.tracker.lose_sight(_now())
                watched.relay.join(connection)

    def on_relayed(self, kernel_id: str, message: Any) -> None:
        """A gateway sent this to a websocket."""
        watched = self._watched.get(kernel_id)
        if watched is not None and watched.relay is not None:
            watched.relay.hear(message)

    def on_fault(self, where: str, error: Exception) -> None:
        """Count a fault; say the first of a kind, then at most one a minute."""
        self._faults[where] += 1
        self._last_fault = f"{where}: {type(error).__name__}: {error}"
        now = time.monotonic()
        if now - self._fault_logged_at.get(where, -LOG_PAUSE_SECONDS) >= LOG_PAUSE_SECONDS:
            self._fault_logged_at[where] = now
            _log.warning(
                "Recording met a fault (%s, %d so far); cells go on.",
                where,
                self._faults[where],
                exc_info=error,
            )

    def _feed(self, kernel_id: str, events: list[Event]) -> None:
        watched, writer = self._watched.get(kernel_id), self._writer
        if watched is None or writer is None or self._paths is None:
            return
        try:
            tracker, now = watched.tracker, _now()
            self._read_sent(watched, now)
            self._follow_path(kernel_id, tracker)
            for event in events:
                for execution in tracker.feed(event, now):
                    writer.put(execution)
        except Exception as error:  # the tap must live on
            self.on_fault("tracker", error)

    def _read_sent(self, watched: Watched, now: Moment) -> None:
        """Tell the tracker what websockets carried to the kernel since the last time."""
        sent, watched.sent = watched.sent, []
        for one in sent:
            try:
                request = read_request(one, self._names.behind)
                if request is not None:
                    wall = now.wall - timedelta(seconds=now.monotonic - one.at)
                    watched.tracker.feed(request, Moment(wall, one.at))  # never ends anything
            except Exception as error:  # the request is on its way; only the record suffers
                self.on_fault("websocket", error)

    def _store(self) -> None:
        """All that had come was read: what became of it need not gather any longer."""
        if self._writer is not None:
            self._writer.write_now()

    def _follow_path(self, kernel_id: str, tracker: ExecutionTracker) -> None:
        """Keep the tracker's path current.

        A notebook that takes another kernel leaves this one with cells that have not
        ended. They stay the notebook's.
        """
        assert self._paths is not None
        path = self._paths.of(kernel_id)
        if path is not None or not tracker.open_count:
            tracker.path = path

    def _tick(self) -> None:
        """Store what runs long already, and notice kernels that died unseen."""
        for kernel_id, watched in list(self._watched.items()):
            self._read_sent(watched, _now())
            if not watched.tap.open and not getattr(watched.kernel, "shutting_down", False):
                self._guarded("attach", self._retap, kernel_id, watched)
            if watched.relay is not None:
                self._guarded("tick", self._tick_relay, kernel_id, watched, watched.relay)
            if watched.tracker.open_count:
                self._guarded("tick", self._tick_kernel, kernel_id, watched)

    def _tick_kernel(self, kernel_id: str, watched: Watched) -> None:
        assert self._writer is not None
        self._follow_path(kernel_id, watched.tracker)
        for execution in watched.tracker.overdue(_now(), self._options.pending_seconds):
            self._writer.put(execution)

    def _tick_relay(self, kernel_id: str, watched: Watched, relay: Relay) -> None:
        """Never leave a cell running for ever that may have ended unheard."""
        if kernel_id not in self._app.kernel_manager:  # the gateway culled it
            self._unwatch(kernel_id, Ending.SHUT_DOWN)
            return
        if not relay.live:
            watched.tracker.lose_sight(_now())
        if watched.tracker.out_of_sight:
            task = asyncio.create_task(self._give_up_unseen(kernel_id, watched, relay))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        else:
            relay.asked_enough()

    def _put(
        self,
        kernel_id: str,
        watched: Watched,
        settle: Callable[[Moment], tuple[Execution, ...]],
    ) -> None:
        assert self._writer is not None
        self._follow_path(kernel_id, watched.tracker)
        for execution in settle(_now()):
            self._writer.put(execution)

    def _interrupted(self, kernel_id: str) -> None:
        watched = self._watched.get(kernel_id)
        if watched is not None and watched.relay is not None:
            self._put(kernel_id, watched, watched.tracker.interrupt)

    async def _give_up_unseen(self, kernel_id: str, watched: Watched, relay: Relay) -> None:
        try:
            if await relay.ended_unheard() and self._started:
                watched.tap.drain()
                self._put(kernel_id, watched, watched.tracker.give_up_unseen)
        except Exception as error:  # a fault of ours stays ours
            self.on_fault("tick", error)

    # kernels ---------------------------------------------------------------------

    def _watch(self, kernel_id: str) -> None:
        if kernel_id in self._watched or not self._started:
            return
        kernel = self._app.kernel_manager.get_kernel(kernel_id)
        user, source = self._names.owner
        place = Place(kernel_id, self._server, user, source, is_relayed(kernel))
        watched = self._ears.open(place, kernel)
        for claim in [claim for claim in self._claims if claim[0] == kernel_id]:
            self._claims.remove(claim)
            watched.tracker.claim(claim[1])
        self._watched[kernel_id] = watched
        for event, ending in (("restart", self._on_died), ("dead", self._on_dead)):
            kernel.add_restart_callback(_bound(ending, kernel_id), event)

    async def _attach_new(self, kernel_id: str) -> None:
        """Watch a kernel that is starting; the server begins to note activity a bit later."""
        manager = self._app.kernel_manager
        if kernel_id not in manager:
            return
        kernel = manager.get_kernel(kernel_id)
        if is_relayed(kernel):
            self._watch(kernel_id)
            return
        deadline = time.monotonic() + ACTIVITY_WAIT_SECONDS
        while (stream := activity_stream(kernel)) is None:  # nothing tells when it is there
            if time.monotonic() > deadline or not self._started:
                break
            await asyncio.sleep(0.005)
        if stream is not None and kernel.execution_state == "starting":
            quicken(stream.socket)
            stream.flush(zmq.POLLIN)
        if kernel_id in manager:  # else it was shut down while it started, as a cancel does
            self._watch(kernel_id)

    def _retap(self, kernel_id: str, watched: Watched) -> None:
        """The stream was closed under us: whatever comes now comes from another."""
        watched.tap.close()
        watched.tap = self._ears.tap(kernel_id, watched.kernel)

    def _on_died(self, kernel_id: str) -> None:
        """The restarter found the process gone and is about to start a new one."""
        watched = self._watched.get(kernel_id)
        if watched is not None:
            watched.tap.drain()
            self._feed(kernel_id, [KernelEnded(Ending.DIED, cause_of(watched.kernel))])

    def _on_dead(self, kernel_id: str) -> None:
        self._unwatch(kernel_id, Ending.DIED)

    def _restarted(self, kernel_id: str) -> None:
        watched = self._watched.get(kernel_id)
        if watched is None:
            self._watch(kernel_id)
            return
        if watched.relay is not None:  # the same websockets go on
            watched.tap.drain()
            self._feed(kernel_id, [KernelEnded(Ending.RESTARTED)])
            return
        watched.tap.close()
        self._feed(kernel_id, [KernelEnded(Ending.RESTARTED)])
        watched.tap = self._ears.tap(kernel_id, watched.kernel)

    def _unwatch(self, kernel_id: str, ending: Ending) -> None:
        watched = self._watched.get(kernel_id)
        if watched is None:
            return
        watched.tap.close()
        self._feed(kernel_id, [KernelEnded(ending)])
        del self._watched[kernel_id]
        self._ended.update(lost=watched.tracker.ends_lost, unseen=watched.tracker.ends_unseen)

    # events of the server --------------------------------------------------------

    def _listen(self) -> None:
        logger = self._app.event_logger
        logger.add_listener(
            modified=False, schema_id=KERNEL_ACTIONS, listener=self._on_kernel_action
        )
        logger.add_listener(
            modified=False, schema_id=CONTENTS_ACTIONS, listener=self._on_contents_action
        )

    def _unlisten(self) -> None:
        logger = self._app.event_logger
        logger.remove_listener(schema_id=KERNEL_ACTIONS, listener=self._on_kernel_action)
        logger.remove_listener(schema_id=CONTENTS_ACTIONS, listener=self._on_contents_action)

    async def _on_kernel_action(self, *, data: dict[str, Any], **_: Any) -> None:
        kernel_id = data.get("kernel_id")
        if data.get("status") != "success" or not isinstance(kernel_id, str):
            return
        action = data.get("action")
        if action == "start":
            try:
                await self._attach_new(kernel_id)
            except Exception as error:  # a fault of ours stays ours
                self.on_fault("attach", error)
        elif action == "restart":
            self._guarded("attach", self._restarted, kernel_id)
        elif action == "interrupt":
            self._guarded("interrupt", self._interrupted, kernel_id)
        elif action == "shutdown":
            self._guarded("detach", self._unwatch, kernel_id, Ending.SHUT_DOWN)

    async def _on_contents_action(self, *, data: dict[str, Any], **_: Any) -> None:
        if data.get("action") == "rename":
            self._guarded("rename", self._renamed, data["source_path"], data["path"])

    def _renamed(self, old: str, new: str) -> None:
        for watched in self._watched.values():  # what is over ended under the old path
            self._guarded("rename", watched.tap.drain)
        assert self._paths is not None
        assert self._writer is not None
        moved = self._paths.rename(old, new)
        if moved is not None:
            self._writer.rename(*moved, folder=os.path.isdir(moved[1]))

    def _guarded(self, where: str, action: Any, *arguments: Any) -> None:
        try:
            action(*arguments)
        except Exception as error:  # a fault of ours stays ours
            self.on_fault(where, error)


def _bound(action: Any, kernel_id: str) -> Any:
    return lambda: action(kernel_id)


def _now() -> Moment:
    return Moment(datetime.now(UTC), time.monotonic())
