"""What a start is doing right now, for everybody who watches it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

# How far a start is when a step begins, in percent. What is not here keeps the last value.
PERCENT = {"image": 5, "create": 30, "start": 45, "ready": 60}


class Steps:
    """Lines of progress of one start; several watchers may read, from the beginning."""

    def __init__(self) -> None:
        self._lines: list[dict[str, int | str]] = []
        self._done = False
        self._changed = asyncio.Event()

    @property
    def ended(self) -> bool:
        return self._done

    def add(self, name: str, message: str) -> None:
        """Say what is being done now.

        Args:
            name: "image", "create", "start" or "ready", or a word of the spawner's own.
            message: one line for people.
        """
        last = self._lines[-1]["progress"] if self._lines else 0
        self._lines.append({"progress": PERCENT.get(name, last), "message": message})
        self._wake()

    def end(self) -> None:
        """Let the watchers go."""
        self._done = True
        self._wake()

    async def follow(self) -> AsyncIterator[dict[str, int | str]]:
        """Yield each line as JupyterHub wants it, past ones at once, until the end."""
        seen = 0
        while True:
            changed = self._changed
            for line in self._lines[seen:]:
                yield line
                seen += 1
            if self._done and seen == len(self._lines):
                return
            if seen == len(self._lines):
                await changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
