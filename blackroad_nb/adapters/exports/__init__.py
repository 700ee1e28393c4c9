"""Exports through nbconvert, in processes of their own (see `worker.py`)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import LifoQueue
from typing import Any, TypeVar

import blackroad_nb.errors
from blackroad_nb.adapters.exports.formats import (
    check_format,
    foreign_formats,
    known_formats,
)
from blackroad_nb.adapters.exports.workers import Worker
from blackroad_nb.errors import BlackRoadError
from blackroad_nb.ports import Exported, ExportFormat

Result = TypeVar("Result")

# Their programs may be there and yet not work: a package of LaTeX lacks, a browser won't start.
_TRIED = ("pdf", "webpdf")
_BYTES = "application/octet-stream"
_FIRST = ("ipynb", "html", "script")  # of the list; the others follow by name


class NbconvertExporter:
    """`Exporter` over nbconvert.

    Args:
        limit_seconds: how long one conversion may take before it is killed.
        workers: conversions at the same time; each is a process of about 80 MB that
            starts at its first conversion and stays warm.
    """

    def __init__(self, limit_seconds: float = 120.0, workers: int = 2) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="export")
        self._workers = [Worker(limit_seconds) for _ in range(workers)]
        self._idle: LifoQueue[Worker] = LifoQueue()  # the warmest first
        self._foreign: dict[str, ExportFormat] = {}
        self._proven: set[str] = set()
        self._probing = threading.Lock()
        for worker in self._workers:
            self._idle.put(worker)

    async def formats(self) -> tuple[ExportFormat, ...]:
        """Return every exporter registered here, and why some cannot be used."""
        return await self._with_worker(self._formats)

    async def export(
        self, content: bytes, name: str, format: str, trusted: bool, folder: Path | None = None
    ) -> Exported:
        """Convert a notebook file's content; `name` is its title.

        A safe page embeds the pictures that it names and that lie in `folder` or below.

        Raises:
            InvalidInput: no such format, or one that is only for trusted notebooks.
            InvalidNotebook: the content is no valid notebook.
            ExportUnavailable: the machine lacks what the format needs.
            ExportFailed: the converter gave up, or took too long.
        """
        check_format(format)
        request = {
            "task": "convert",
            "name": name,
            "format": format,
            "trusted": trusted,
            "folder": None if folder is None else str(folder),
        }
        return await self._with_worker(lambda worker: _exported(worker, request, content))

    async def warm(self) -> None:
        """Start one worker and load what HTML and scripts need, ahead of the first export."""
        empty = b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
        await self.export(empty, "empty", "html", trusted=False)

    def close(self) -> None:
        """Stop the workers, also busy ones; whoever waits for them gets `ExportFailed`."""
        for worker in self._workers:
            worker.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _with_worker(self, task: Callable[[Worker], Result]) -> Result:
        busy: list[Worker] = []
        turn = threading.Lock()  # a worker that was given back may be another export's already

        def run() -> Result:
            worker = self._idle.get()
            busy.append(worker)
            try:
                return task(worker)
            finally:
                with turn:
                    busy.clear()
                self._idle.put(worker)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, run)
        except asyncio.CancelledError:
            with turn:
                for worker in busy:
                    worker.interrupt()  # nobody waits for it any more
            raise

    def _formats(self, worker: Worker) -> tuple[ExportFormat, ...]:
        known = known_formats()
        with self._probing:
            for name in foreign_formats():
                if name not in self._foreign:
                    self._foreign[name] = _probed(worker, ExportFormat(name, "", _BYTES, True))
            foreign = dict(self._foreign)
            for name in _TRIED:
                if known[name].available and name not in self._proven:
                    known[name] = _probed(worker, known[name])
                    if known[name].available:  # what fails is tried again: it may be mended
                        self._proven.add(name)
        rest = sorted({**known, **foreign}.items())
        first = [known[name] for name in _FIRST]
        return (*first, *(found for name, found in rest if name not in _FIRST))


def _exported(worker: Worker, request: dict[str, Any], content: bytes) -> Exported:
    header, parts = worker.ask(request, [content])
    if "error" in header:
        raise _error(header["error"], header["message"])
    body, *files = parts
    return Exported(
        body=body,
        extension=header["extension"],
        mime_type=header["mime_type"],
        resources=dict(zip(header["resources"], files, strict=True)),
    )


def _probed(worker: Worker, format: ExportFormat) -> ExportFormat:
    header, _ = worker.ask({"task": "probe", "format": format.name}, [])
    reason = header["reason"]
    return replace(format, available=reason is None, reason=reason)


def _error(name: str, message: str) -> BlackRoadError:
    kind: type[BlackRoadError] = getattr(blackroad_nb.errors, name)
    assert issubclass(kind, BlackRoadError)
    return kind(message)
