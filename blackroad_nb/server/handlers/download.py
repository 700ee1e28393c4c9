"""Answers that are files: named safely, streamed, and never run by the browser."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from tornado.iostream import StreamClosedError

from blackroad_nb.server.handlers.base import BlackRoadHandler

CHUNK = 64 * 1024  # characters or bytes between two flushes
# What is downloaded shares the origin of the Jupyter session: were it ever shown there,
# it must not run, call or load anything.
FILE_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
MEDIA_TYPES = {
    ".csv": "text/csv",
    ".jsonl": "application/jsonl",
    ".ipynb": "application/x-ipynb+json",
    ".py": "text/x-python",
}
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f"\\/:*?<>|;]')


def disposition(filename: str) -> str:
    """Name a download, for old and new clients (RFC 6266, RFC 8187)."""
    whole = "".join(letter for letter in filename if letter.isprintable())
    whole = _NOT_IN_NAMES.sub("_", whole).strip(". ") or "download"
    plain = whole.encode("ascii", "replace").decode().replace("?", "_").replace("%", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(whole, safe='')}"


class Download(BlackRoadHandler):
    """A handler that can answer with a file."""

    def send_file(self, filename: str, content: bytes, media_type: str | None = None) -> None:
        """Answer with content that is at hand."""
        kind = self._head(filename, media_type)
        self.finish(content, set_content_type=kind)

    async def stream_file(
        self, filename: str, head: str, lines: AsyncIterator[str], media_type: str | None = None
    ) -> None:
        """Answer with lines as they come; errors before the first chunk are still typed."""
        kind = self._head(filename, media_type)
        if self.request.method == "HEAD":
            await self.finish_head(kind)
            return
        pending, size = [head], len(head)
        async with aclosing(lines) as rows:  # type: ignore[type-var]
            try:
                async for line in rows:
                    pending.append(line)
                    size += len(line)
                    if size >= CHUNK:
                        self.write("".join(pending))
                        await self.flush()
                        await asyncio.sleep(0)  # a fast reader lets the flush end at once
                        pending, size = [], 0
            except StreamClosedError:
                return
        self.write("".join(pending))
        self.finish(set_content_type=kind)

    def _head(self, filename: str, media_type: str | None) -> str:
        suffix = filename[filename.rfind(".") :]
        kind = media_type or MEDIA_TYPES[suffix]
        if kind.startswith("text/"):
            kind += "; charset=utf-8"
        self.set_header("Content-Type", kind)
        self.set_header("Content-Disposition", disposition(filename))
        self.set_header("Content-Security-Policy", FILE_POLICY)
        self.set_header("Cache-Control", "no-store")
        return kind

    def compute_etag(self) -> Any:
        """Downloads are not cached, and hashing a large one costs."""
        return None
