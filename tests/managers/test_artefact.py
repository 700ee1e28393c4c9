"""The file a run writes stays whole however the run ends."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from blackroad_nb.core.document import code_cell, digest
from blackroad_nb.errors import FileChanged, InvalidInput
from blackroad_nb.managers import artefact as artefacts
from blackroad_nb.managers.artefact import Artefact

PATH = Path("/a.ipynb")


class SlowFiles:
    """Holds one file; a write takes until it is let through, cancelled or not."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.writing = asyncio.Event()
        self.let_through = asyncio.Event()
        self.durable: list[bool] = []

    async def write(self, path: Path, content: bytes, expected: str, durable: bool) -> str:
        self.durable.append(durable)
        return await asyncio.shield(asyncio.ensure_future(self._write(content, expected)))

    async def _write(self, content: bytes, expected: str) -> str:
        if digest(self.content) != expected:
            raise FileChanged("It changed.")
        self.writing.set()
        await self.let_through.wait()
        self.content = content
        return digest(content)


def artefact() -> tuple[Artefact, SlowFiles, dict[str, Any]]:
    cells = [code_cell("1", "a"), code_cell("2", "b")]
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    files = SlowFiles(b"before")
    kept = Artefact(files, PATH, document, digest(b"before"), Path("/beside.ipynb"))  # type: ignore[arg-type]
    return kept, files, document


def test_the_last_write_is_durable_also_when_nothing_changed_since_the_one_before() -> None:
    async def story() -> None:
        kept, files, _ = artefact()
        files.let_through.set()
        kept.change(0)
        await kept.save()
        assert files.durable == [False]
        await kept.save()
        assert files.durable == [False]
        await kept.save(durable=True)
        assert files.durable == [False, True]
        await kept.save(durable=True)
        assert files.durable == [False, True]

    asyncio.run(story())


def test_a_disk_that_stays_full_is_tried_seldom_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        kept, files, _ = artefact()
        files.let_through.set()
        files.write = refuse  # type: ignore[method-assign]
        kept.change(0)
        for _ in range(3):
            await kept.save()
        assert kept._pause == artefacts.RETRY_SECONDS
        del files.write
        await kept.save()
        assert (kept.fault, kept._pause < artefacts.RETRY_SECONDS) == (None, True)
        assert files.content != b"before"

    async def refuse(*_: Any) -> str:
        raise InvalidInput("The disk is full.")

    asyncio.run(story())
    assert [record.getMessage() for record in caplog.records] == [
        "/a.ipynb could not be written: The disk is full."
    ]


def test_a_run_that_changed_nothing_writes_nothing() -> None:
    async def story() -> None:
        kept, files, _ = artefact()
        await kept.save(durable=True)
        assert files.content == b"before"

    asyncio.run(story())


@pytest.mark.parametrize("moment", ["making text", "writing"])
def test_a_run_that_ends_during_a_write_leaves_a_whole_file(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    making, go_on = threading.Event(), threading.Event()
    original = artefacts._content

    def slowly(*arguments: Any) -> bytes:
        making.set()
        assert go_on.wait(10)
        return original(*arguments)

    async def story() -> None:
        kept, files, document = artefact()
        task = asyncio.create_task(kept.write_on())
        kept.change(0)
        await asyncio.to_thread(making.wait, 10)
        if moment == "writing":
            go_on.set()
            await files.writing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        document["cells"][1]["execution_count"] = 7
        kept.change(1)
        files.let_through.set()
        last = asyncio.create_task(kept.save(durable=True))
        await asyncio.sleep(0)  # it begins before the one in the thread has ended
        go_on.set()
        await last

        assert kept.displaced is None
        assert kept.fault is None
        cells = json.loads(files.content)["cells"]
        assert [cell["source"] for cell in cells] == [["1"], ["2"]]
        assert cells[1]["execution_count"] == 7

    monkeypatch.setattr(artefacts, "_content", slowly)
    asyncio.run(story())
