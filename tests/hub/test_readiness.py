"""Waiting for a session, and telling others what is being waited for."""

from __future__ import annotations

import asyncio

import pytest

from blackroad_nb.hub.readiness import wait_until_answering
from blackroad_nb.hub.steps import Steps


async def not_gone() -> bool:
    return False


@pytest.mark.parametrize(
    ("answers", "tries"),
    [
        ([b"HTTP/1.1 200 OK\r\n\r\n"], 1),
        ([b"HTTP/1.1 302 Found\r\n\r\n"], 1),
        ([b"HTTP/1.1 403 Forbidden\r\n\r\n"], 1),
        ([b"HTTP/1.1 503 Not yet\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"], 2),
        ([b"", b"SSH-2.0-x\r\n", b"HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n\r\n"], 4),
    ],
)
def test_an_answer_below_500_is_ready(answers: list[bytes], tries: int) -> None:
    asked = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(answers[len(asked) - 1])
        await writer.drain()
        writer.close()

    async def main() -> bool:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}/user/a%20b/api"
            return await asyncio.wait_for(wait_until_answering(url, not_gone), 10)

    assert asyncio.run(main())
    assert asked == [b"GET /user/a%20b/api HTTP/1.1\r\n"] * tries


def test_what_is_gone_is_not_waited_for() -> None:
    async def gone() -> bool:
        return True

    waited = wait_until_answering("http://127.0.0.1:9/api", gone)
    assert asyncio.run(asyncio.wait_for(waited, 10)) is False


def test_watchers_see_every_step_whenever_they_come() -> None:
    async def main() -> list[list[tuple[object, object]]]:
        steps = Steps()

        async def watch() -> list[tuple[object, object]]:
            return [(line["progress"], line["message"]) async for line in steps.follow()]

        early = asyncio.create_task(watch())
        await asyncio.sleep(0)
        steps.add("image", "Taking the image")
        steps.add("odd", "Doing something else")
        late = asyncio.create_task(watch())
        await asyncio.sleep(0)
        steps.add("ready", "Waiting")
        steps.end()
        return [await early, await late, await watch()]

    expected = [(5, "Taking the image"), (5, "Doing something else"), (60, "Waiting")]
    assert asyncio.run(main()) == [expected] * 3
