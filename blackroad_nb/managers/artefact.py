"""The notebook file a run writes while it goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from blackroad_nb.core.document import (
    Document,
    assemble_document,
    digest,
    serialize_cell,
)
from blackroad_nb.errors import BlackRoadError, FileChanged, FileExists, InvalidNotebook
from blackroad_nb.ports import NotebookFiles

SOON_SECONDS = 0.1  # from a change until it is written
RETRY_SECONDS = 5.0  # after a write that failed
SHARE = 0.1  # at most this part of the time goes into writing

log = logging.getLogger(__name__)


class Artefact:
    """Writes a run's notebook again and again without paying for all of it each time.

    Only cells that changed are made into text anew, and the time between two writes
    grows with what a write costs. Each write is atomic, and replaces only what this run
    read or wrote: when somebody else wrote the file, the run goes on in a file beside it.

    Args:
        document: the content, whose cells the run changes in place.
        expected: digest of the file that may be replaced; None when there is none yet.
        beside: where the run is kept when the file has changed.
    """

    def __init__(
        self,
        files: NotebookFiles,
        path: Path,
        document: Document,
        expected: str | None,
        beside: Path,
    ) -> None:
        self._files = files
        self.path = path
        self._document = document
        self._expected = expected
        self._beside = beside
        self._texts: list[str] = []
        self._dirty = set(range(len(document["cells"])))
        self._changed = asyncio.Event()
        self._lock = asyncio.Lock()
        self._pause = SOON_SECONDS
        self._durable = True  # so far there is nothing of ours that a crash could take
        self.displaced: str | None = None  # why the run is kept beside its file
        self.fault: str | None = None  # why the last write failed

    def change(self, index: int) -> None:
        """Note that a cell has changed; it is written soon."""
        self._dirty.add(index)
        self._changed.set()

    def set_metadata(self, values: Mapping[str, Any]) -> None:
        """Set entries of the notebook's metadata."""
        for name, value in values.items():
            if self._document["metadata"].get(name) != value:
                self._document["metadata"][name] = value
                self._changed.set()

    async def write_on(self) -> None:
        """Write what changes, until cancelled; a write that has begun is finished all the same.

        Half of one would leave us ignorant of what the file holds, and of which cells
        are in it.
        """
        while True:
            await self._changed.wait()
            await asyncio.sleep(self._pause)
            await asyncio.shield(self.save())

    async def save(self, durable: bool = False) -> None:
        """Write now, if anything has changed. A failure is kept in `fault`, not raised."""
        async with self._lock:
            if not self._changed.is_set() and (self._durable or not durable):
                return
            self._changed.clear()
            begun = monotonic()
            try:
                await self._write(durable)
                self.fault = None
            except (BlackRoadError, OSError) as error:
                self._failed(str(error))
            except Exception as error:
                log.exception("a fault of this program")
                self._failed(f"{error!r}.")
            spent = monotonic() - begun
            pause = SOON_SECONDS if self.fault is None else RETRY_SECONDS
            self._pause = max(pause, spent * (1 / SHARE - 1))

    def _failed(self, reason: str) -> None:
        if reason != self.fault:  # else the log has it already
            log.warning("%s could not be written: %s", self.path, reason)
        self.fault = reason
        self._changed.set()  # the next write may succeed

    async def _write(self, durable: bool) -> None:
        cells = self._document["cells"]
        taken = {index: _frozen(cells[index]) for index in self._dirty}
        self._dirty.clear()
        self._texts.extend([""] * (len(cells) - len(self._texts)))
        try:
            content = await asyncio.to_thread(_content, dict(self._document), self._texts, taken)
        except BaseException:
            self._dirty.update(taken)  # some of them have no text yet
            raise
        try:
            await self._put(content, durable)
        except (FileChanged, FileExists) as error:
            if self.displaced is not None:
                raise
            self.displaced = error.message
            self.path, self._expected = self._beside, None
            await self._put(content, durable)

    async def _put(self, content: bytes, durable: bool) -> None:
        if self._expected is None:
            await self._files.write_new(self.path, content)
            self._expected, self._durable = digest(content), True
        else:
            self._expected = await self._files.write(self.path, content, self._expected, durable)
            self._durable = durable


def _frozen(cell: dict[str, Any]) -> dict[str, Any]:
    """Copy what the run may change while another thread makes text of the cell."""
    if cell["cell_type"] != "code":
        return cell
    outputs = [
        {**output, "text": list(output["text"])} if isinstance(output.get("text"), list) else output
        for output in map(dict, cell["outputs"])
    ]
    return {**cell, "metadata": dict(cell["metadata"]), "outputs": outputs}


def _content(document: Document, texts: list[str], cells: Mapping[int, dict[str, Any]]) -> bytes:
    for index, cell in cells.items():
        texts[index] = _text(cell)
    return assemble_document(document, texts)


def _text(cell: dict[str, Any]) -> str:
    try:
        return serialize_cell(cell)
    except InvalidNotebook as error:  # an output that is nested absurdly deep
        note = {"output_type": "stream", "name": "stderr", "text": f"{error.message}\n"}
        return serialize_cell({**cell, "outputs": [note]})
