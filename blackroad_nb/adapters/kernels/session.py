"""One client of one kernel: requests go out, messages come in, cells get their outputs.

nbclient knows what messages do to a notebook and is used for that. The loop around
it is ours: nbclient's waits in steps of up to a second, and takes over the process's
signals, which a server cannot have.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

from blackroad_nb.adapters.kernels.channel import ShellChannel, read_on
from blackroad_nb.adapters.kernels.host import KernelHost
from blackroad_nb.adapters.kernels.reading import Message, read_message, read_some, told_by
from blackroad_nb.adapters.kernels.request import Request, ended, told
from blackroad_nb.core.execution import Status
from blackroad_nb.core.outputs import encodable, error_output, error_text
from blackroad_nb.errors import KernelStartFailed
from blackroad_nb.ports import CellLimits, CellOutcome, Clock

if TYPE_CHECKING:
    from blackroad_nb.adapters.kernels.outputs import OutputClient

log = logging.getLogger(__name__)

RESEND_SECONDS = 0.5  # a kernel that subscribed us late gets asked again
QUIET_SECONDS = 4.0  # replied, but idle never came: the message was lost
REPLY_SECONDS = 2.0  # idle, but the reply, which is sent before that, never came
_WRAPPING = 1000  # bytes of a stream message around its text
LAST_WORDS_SECONDS = 0.05  # silence after which a dead kernel has said everything


class KernelSession:
    """`RunningKernel` over a jupyter_client client and whoever owns the process."""

    def __init__(self, client: Any, host: KernelHost, clock: Clock) -> None:
        self.kernel_id = host.kernel_id
        self._client = client
        self.host = host
        self._clock = clock
        self._request: Request | None = None
        self._info: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._quiet: dict[str, asyncio.Future[bool]] = {}
        self._subscribed = asyncio.Event()
        self._busy = False  # running something that nobody has stopped
        self._silent_since = monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        self._release: Callable[[], None] = lambda: None  # lets go of the notebook

    # life --------------------------------------------------------------------------

    async def open(self, timeout_seconds: float) -> None:
        """Connect and wait until the kernel answers on both channels.

        Raises:
            KernelStartFailed: it died, or did not answer in time.
        """
        self._client.shell_channel_class = ShellChannel
        self._client.start_channels(stdin=False, hb=False, control=False)
        self._tasks = [
            asyncio.create_task(read_on(self._client.iopub_channel, self._hear)),
            asyncio.create_task(read_on(self._client.shell_channel, self._replied)),
            asyncio.create_task(self._watch()),
        ]
        greeting = asyncio.create_task(self._greet())
        await asyncio.sleep(0)  # it has asked
        self._outputs = _output_client(self._client)
        self._release = self._outputs.release
        died = asyncio.create_task(self.host.died.wait())
        try:
            async with asyncio.timeout(timeout_seconds):
                await asyncio.wait({greeting, died}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise KernelStartFailed(
                f"The kernel {self.host.name!r} did not answer within {timeout_seconds:g} s; "
                "check its kernelspec."
            ) from None
        finally:
            greeting.cancel()
            died.cancel()
        if self.host.died.is_set():
            raise KernelStartFailed(
                f"The kernel {self.host.name!r} {self.host.reason()} before it was ready."
            )
        greeting.result()

    async def close(self, shutdown: bool = True) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._request is not None:
            self._request.end("died")
        idle = self._info.done() and not self._busy
        await self.host.stop(keep=not shutdown, ask=self._ask_to_stop if idle else None)
        # Not `stop_channels`: to stop the others it would connect them first.
        for channel in (self._client.shell_channel, self._client.iopub_channel):
            channel.stop()
        self._release()

    def _ask_to_stop(self) -> None:
        message = self._client.session.msg("shutdown_request", {"restart": False})
        self._client.shell_channel.send(message)

    def greet(self) -> None:
        """Ask the kernel who it is; its answer is heard by everybody who listens."""
        self._client.kernel_info()

    async def interrupt(self) -> None:
        await self.host.interrupt()

    async def is_alive(self) -> bool:
        return not self.host.died.is_set() and await self.host.alive()

    async def language_info(self) -> Mapping[str, Any]:
        info = await self._info
        found = info.get("language_info")
        return found if isinstance(found, Mapping) else {}

    async def run_quietly(self, code: str) -> bool:
        """Run code that no history and no count shall know of; tell whether it worked."""
        content = {
            "code": code,
            "silent": True,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        message = self._client.session.msg("execute_request", content)
        done = self._quiet[message["header"]["msg_id"]] = asyncio.get_running_loop().create_future()
        self._client.shell_channel.send(message)
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                return bool(await done)
        except TimeoutError:
            return False
        finally:
            del self._quiet[message["header"]["msg_id"]]

    def widgets(self) -> Mapping[str, Any] | None:
        return self._outputs.widgets()

    # one cell ------------------------------------------------------------------------

    async def run_cell(
        self,
        cell: dict[str, Any],
        index: int,
        limits: CellLimits,
        on_request: Callable[[str], None],
        on_output: Callable[[int], None],
    ) -> CellOutcome:
        message = self._message(cell)
        outputs = self._outputs.begin(cell, index, limits.output_bytes, on_output)
        request = Request(
            message["header"]["msg_id"], outputs, asyncio.get_running_loop().create_future()
        )
        self._request = request
        self._busy = True
        on_request(request.msg_id)
        started_at, begun = self._clock(), monotonic()
        try:
            if self.host.died.is_set():
                request.end("died")
            else:
                self._client.shell_channel.send(message)
            status, error = await self._await_end(request, limits)
        finally:
            self._request = None
            outputs.finish()
        duration = monotonic() - begun
        on_output(index)
        return CellOutcome(
            status=status,
            msg_id=request.msg_id,
            started_at=started_at,
            # not read from the clock, which may be set back while a cell runs
            finished_at=started_at + timedelta(seconds=duration),
            duration_ms=round(duration * 1000),
            execution_count=cell["execution_count"],
            error=error,
        )

    def _message(self, cell: Mapping[str, Any]) -> Message:
        content = {
            "code": encodable(cell["source"]),
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            # Only one request waits at a time, and the next one may come right after an
            # error; a kernel that aborts its queue would refuse that one.
            "stop_on_error": False,
        }
        metadata = {"cellId": cell["id"]} if cell.get("id") else {}
        message: Message = self._client.session.msg("execute_request", content, metadata=metadata)
        return message

    async def _await_end(self, request: Request, limits: CellLimits) -> tuple[Status, str | None]:
        how = await ended(request, limits.timeout_seconds)
        if how == "late":
            return await self._stop_late(request, limits)
        if how == "died":
            await self._hear_last_words()
            return self._killed(request)
        self._busy = False
        return told(request)

    async def _stop_late(self, request: Request, limits: CellLimits) -> tuple[Status, str | None]:
        limit = f"ran longer than {limits.timeout_seconds:g} s"
        request.renew()
        with contextlib.suppress(RuntimeError):  # a kernel that died right now
            await self.host.interrupt()
        how = await ended(request, limits.grace_seconds)
        if how == "done":
            self._busy = False
            _, error = told(request)
            value = f"The cell {limit} and was interrupted."
            request.outputs.items.append(error_output("CellTimeout", value))
            text = error_text("CellTimeout", value)
            return Status.TIMEOUT, f"{text}\n{error}" if error else text
        if how == "late":
            await self.host.kill()
            value = f"The cell {limit}, did not react to an interrupt, and its kernel was killed."
        else:
            value = f"The cell {limit} and was interrupted, which ended its kernel."
        request.outputs.items.append(error_output("CellTimeout", value))
        return Status.TIMEOUT, error_text("CellTimeout", value)

    def _killed(self, request: Request) -> tuple[Status, str]:
        value = f"The kernel {self.host.reason()}."
        request.outputs.items.append(error_output("KernelDied", value))
        return Status.KILLED, error_text("KernelDied", value)

    async def _hear_last_words(self) -> None:
        """Let what a dead kernel had sent already arrive, a second at most."""
        self._silent_since = monotonic()
        end = self._silent_since + 1.0
        while (now := monotonic()) < end:
            left = self._silent_since + LAST_WORDS_SECONDS - now
            if left <= 0:
                return
            await asyncio.sleep(left)

    # messages ------------------------------------------------------------------------

    async def _greet(self) -> None:
        while not (self._info.done() and self._subscribed.is_set()):
            self._client.kernel_info()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RESEND_SECONDS):
                    await asyncio.shield(self._info)
                    await self._subscribed.wait()

    async def _watch(self) -> None:
        await self.host.died.wait()
        if self._request is not None:
            self._request.end("died")

    def _hear(self, frames: list[bytes]) -> None:
        self._silent_since = monotonic()
        self._subscribed.set()
        request = self._request
        # What others cause, and what finds no room, need not be read whole.
        kind, parent = told_by(frames)
        if request is None or parent != request.msg_id:
            return
        request.heard = self._silent_since
        size = sum(map(len, frames[4:]))
        if self._outputs.refuses(kind, size):
            return
        room = self._outputs.room()
        if kind == "stream" and size > room + _WRAPPING:
            message, rest = read_some(self._client.session, frames, room)
        else:
            message, rest = read_message(self._client.session, frames), 0
        done = self._outputs.take(message, size)
        if rest:
            request.outputs.drop(rest)
        if done:
            request.idle = True
            if request.reply is not None:
                request.end("done")
            else:
                loop = asyncio.get_running_loop()
                loop.call_later(REPLY_SECONDS, self._give_up_reply, request)

    def _give_up_reply(self, request: Request) -> None:
        """End a cell that the kernel did not run: an interrupt met it on its way there.

        ipykernel then says neither an error nor a reply, and that it is idle.
        """
        if request is not self._request or request.reply is not None:
            return
        value = "The kernel was interrupted before it ran this cell."
        request.reply = {"status": "error", "ename": "KeyboardInterrupt", "evalue": value}
        request.outputs.items.append(error_output("KeyboardInterrupt", value))
        request.end("done")

    def _replied(self, frames: list[bytes]) -> None:
        message = read_message(self._client.session, frames)
        if message["msg_type"] == "kernel_info_reply" and not self._info.done():
            self._info.set_result(message["content"])
        quiet = self._quiet.get(message["parent_header"].get("msg_id", ""))
        if quiet is not None and not quiet.done():
            quiet.set_result(message["content"].get("status") == "ok")
        request = self._request
        if request is None or message["parent_header"].get("msg_id") != request.msg_id:
            return
        request.reply = message["content"]
        request.heard = monotonic()  # outputs may come for a while after the reply
        request.outputs.replied(message)
        if request.idle:
            request.end("done")
        else:
            self._await_idle(request)

    def _await_idle(self, request: Request) -> None:
        if request.ended.done():
            return
        quiet = monotonic() - request.heard
        if quiet >= QUIET_SECONDS:
            log.warning("kernel %s replied but never said it was idle", self.kernel_id)
            request.outputs.note("The end of this cell's output did not arrive from the kernel.")
            request.end("done")
            return
        asyncio.get_running_loop().call_later(
            QUIET_SECONDS - quiet + 0.01, self._await_idle, request
        )


def _output_client(client: Any) -> OutputClient:
    # It takes as long to import as a kernel takes to boot, which it does meanwhile.
    from blackroad_nb.adapters.kernels.outputs import OutputClient

    return OutputClient(client)
