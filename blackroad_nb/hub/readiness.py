"""Waiting until a session answers, in steps much shorter than the hub's own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

STEP_SECONDS = 0.01
CHECK_SECONDS = 0.1  # how often to ask whether it still lives; asking an engine costs
ANSWER_SECONDS = 5.0


async def wait_until_answering(url: str, gone: Callable[[], Awaitable[bool]]) -> bool:
    """Wait until an HTTP server answers at a URL.

    Args:
        url: where; any answer below 500 will do.
        gone: tells whether what should answer has died; then nobody will.

    Returns:
        True once it answers, False when it is gone. Sets no limit of its own.
    """
    loop = asyncio.get_running_loop()
    check_at = loop.time()
    while not await _answers(url):
        if loop.time() >= check_at:
            if await gone():
                return False
            check_at = loop.time() + CHECK_SECONDS
        await asyncio.sleep(STEP_SECONDS)
    return True


async def _answers(url: str) -> bool:
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                if parts.scheme == "https":  # its certificate is the hub's to check
                    return True
                request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                writer.write(f"{request}Connection: close\r\n\r\n".encode("ascii"))
                words = (await reader.readline()).split(maxsplit=2)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return len(words) >= 2 and words[0].startswith(b"HTTP/") and words[1][:1] in b"1234"
