"""Server-sent events over a run's watch.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tornado.iostream import StreamClosedError

from blackroad_nb.core.run import RunEvent
from blackroad_nb.server.answer import json_text
from blackroad_nb.server.handlers.base import BlackRoadHandler

# Proxies drop silent connections after a minute or so; a comment keeps them open.
HEARTBEAT_SECONDS = 15.0


def event_text(event: RunEvent) -> str:
    """Write one event; JSON holds no line break, so its data is one line."""
    return f"id: {event.number}\nevent: {event.kind}\ndata: {json_text(event.data)}\n\n"


class EventStream(BlackRoadHandler):
    """A handler that can send events until they end or nobody listens."""

    def initialize(self, **kwargs: Any) -> None:
        super().initialize(**kwargs)
        self._gone = asyncio.Event()

    def on_connection_close(self) -> None:
        """The watcher left; `send_events` lets go of the run's events."""
        self._gone.set()
        super().on_connection_close()

    async def send_events(self, events: AsyncIterator[RunEvent]) -> None:
        """Send events as they come, a comment when none come, and end after the last."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")  # nginx would hold events back
        if self.request.method == "HEAD":
            await self.finish_head("text/event-stream")
            return
        gone = asyncio.create_task(self._gone.wait())
        try:
            with contextlib.suppress(StreamClosedError):
                await self._send("retry: 1000\n\n")
                await self._relay(events, gone)
        finally:
            gone.cancel()
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()
        if not self._gone.is_set():
            self.finish(set_content_type="text/event-stream")

    async def _relay(self, events: AsyncIterator[RunEvent], gone: asyncio.Task[Any]) -> None:
        upcoming = asyncio.ensure_future(anext(events, None))
        try:
            while True:
                await asyncio.wait(
                    {upcoming, gone}, timeout=HEARTBEAT_SECONDS, return_when="FIRST_COMPLETED"
                )
                if gone.done():
                    return
                if not upcoming.done():
                    await self._send(": still here\n\n")
                    continue
                event = upcoming.result()
                if event is None:
                    return
                upcoming = asyncio.ensure_future(anext(events, None))
                await self._send(event_text(event))
        finally:
            upcoming.cancel()
            await asyncio.wait({upcoming})

    async def _send(self, text: str) -> None:
        self.write(text)
        await self.flush()
