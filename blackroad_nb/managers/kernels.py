"""Kernels added by users: registered, checked by running a cell, and taken away again."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from blackroad_nb.core.document import code_cell
from blackroad_nb.core.execution import Status
from blackroad_nb.core.kernel import (
    KernelInfo,
    RegisteredKernel,
    check_environment,
    check_kernel,
    completed_argv,
    first_cell,
    joined,
    speaks,
)
from blackroad_nb.core.kinds import check_flag, check_seconds, check_text
from blackroad_nb.errors import (
    InvalidInput,
    KernelExists,
    KernelNotFound,
    KernelStartFailed,
)
from blackroad_nb.ports import (
    CellLimits,
    CellOutcome,
    Clock,
    KernelRunner,
    Kernelspecs,
    RunningKernel,
    Store,
)

STOP_SECONDS = 10.0  # for a checked kernel to end, beyond the check's own time
TIMEOUT_LIMIT = 600.0


class KernelRegistry:
    """Use cases of kernels. The kernelspec folder is the truth, the store its index.

    Args:
        new_id: gives a fresh UUIDv4; a parameter for tests.
    """

    def __init__(
        self,
        store: Store,
        specs: Kernelspecs,
        runner: KernelRunner,
        clock: Clock,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._store = store
        self._specs = specs
        self._runner = runner
        self._clock = clock
        self._new_id = new_id

    async def list(self) -> tuple[KernelInfo, ...]:
        """Return Jupyter's kernels and the registered ones, with what is wrong with those."""
        return joined(await self._specs.list(), await self._store.list_kernels())

    async def register(
        self,
        name: str,
        language: str,
        display_name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout_seconds: float = 60.0,
    ) -> KernelInfo:
        """Add a kernel: everything that starts kernels on this machine finds it.

        Args:
            name: in lower case afterwards, as Jupyter sees all names.
            argv: the command; `{connection_file}` stands for the file the kernel reads.
                Where it is missing, `-f {connection_file}` is appended.
            env: variables for the kernel beside those of who starts it.
            check: start it and run a cell first; when that fails nothing stays behind.
            timeout_seconds: how long the check may take.

        Raises:
            InvalidInput: a field is wrong; the message says which.
            KernelExists: the name is taken, by us or by anybody.
            KernelStartFailed: the check failed; the message says how.
        """
        check_kernel(name, language, display_name, argv)
        check_environment(env or {})
        check_flag(check, "check")
        _check_timeout(timeout_seconds)
        kernel = RegisteredKernel(
            id=self._new_id(),
            name=name.lower(),
            language=language,
            display_name=display_name,
            argv=completed_argv(argv),
            created_at=self._clock(),
        )
        await self._specs.install(kernel, env or {})  # the folder is the claim on the name
        try:
            if check:
                await self._check(kernel.name, language, timeout_seconds)
            await self._add_row(kernel)
        except BaseException:  # also a cancelled request leaves nothing behind
            await asyncio.shield(self._specs.remove(kernel.name))
            raise
        return KernelInfo(kernel.name, language, display_name, kernel.argv, registered=True)

    async def check(self, name: str, timeout_seconds: float = 60.0) -> dict[str, Any]:
        """Start a kernel, run one cell on it and stop it.

        Returns:
            `name`, `language` as the kernel reports it, `source` of the cell, `status`
            and `duration_ms` from start to answer.

        Raises:
            KernelNotFound: there is no such kernel.
            KernelStartFailed: it did not start, answer, or run the cell in time.
        """
        _check_timeout(timeout_seconds)
        check_text(name, "The kernel name")
        found = next((spec for spec in await self._specs.list() if spec.name == name.lower()), None)
        if found is None:
            raise KernelNotFound(
                f"There is no kernel named {name!r} here; list the kernels to see their names."
            )
        return await self._check(found.name, found.language, timeout_seconds)

    async def unregister(self, name: str) -> None:
        """Remove a registered kernel: its kernelspec and its registration.

        Raises:
            KernelNotFound: there is no such kernel.
            Conflict: there is one, but it was not registered here.
        """
        name = check_text(name, "The kernel name").lower()
        specs = {spec.name: spec for spec in await self._specs.list()}
        row = any(kernel.name == name for kernel in await self._store.list_kernels())
        if name in specs and (specs[name].registered or not row):
            await self._specs.remove(name)  # raises when it is not ours
        elif not row:
            raise KernelNotFound(
                f"No kernel named {name!r} is registered; list the kernels to see their names."
            )
        elif name not in specs:
            await self._specs.remove_broken(name)
        if row:
            await self._store.delete_kernel(name)

    async def _add_row(self, kernel: RegisteredKernel) -> None:
        """Add the row, in place of one whose kernelspec is gone: ours could be installed."""
        try:
            await self._store.add_kernel(kernel)
        except KernelExists:
            await self._store.delete_kernel(kernel.name)
            await self._store.add_kernel(kernel)

    async def _check(self, name: str, language: str, timeout_seconds: float) -> dict[str, Any]:
        begun = monotonic()
        try:
            async with asyncio.timeout(timeout_seconds):
                kernel = await self._runner.start(
                    name, Path(tempfile.gettempdir()), f"check {name}"
                )
        except TimeoutError:
            raise KernelStartFailed(
                f"The kernel {name!r} did not answer within {timeout_seconds:g} s."
            ) from None
        try:
            left = max(0.1, timeout_seconds - (monotonic() - begun))
            outcome, reported = await _first_words(kernel, language, left)
        finally:
            await _stop(kernel)
        _judge(name, language, outcome, reported, timeout_seconds)
        return {
            "name": name,
            "language": reported or language,
            "source": first_cell(language),
            "status": str(outcome.status),
            "duration_ms": round((monotonic() - begun) * 1000),
        }


async def _first_words(
    kernel: RunningKernel, language: str, seconds: float
) -> tuple[CellOutcome, str]:
    cell = code_cell(first_cell(language), "check")
    limits = CellLimits(timeout_seconds=seconds, grace_seconds=1.0)
    outcome = await kernel.run_cell(cell, 0, limits, lambda _: None, lambda _: None)
    reported = (await kernel.language_info()).get("name")
    return outcome, reported if isinstance(reported, str) else ""


def _judge(
    name: str, language: str, outcome: CellOutcome, reported: str, timeout_seconds: float
) -> None:
    if not speaks(language, reported):
        raise InvalidInput(
            f"The kernel {name!r} says that its language is {reported!r}, not {language!r}; "
            "register it with that."
        )
    if outcome.status is Status.TIMEOUT:
        raise KernelStartFailed(
            f"The kernel {name!r} answered, but did not finish a cell within {timeout_seconds:g} s."
        )
    if outcome.status is not Status.SUCCESS:
        said = (outcome.error or str(outcome.status)).strip().splitlines()
        raise KernelStartFailed(
            f"The kernel {name!r} started, but its first cell failed: {said[0] if said else ''}"
        )


async def _stop(kernel: RunningKernel) -> None:
    try:
        await asyncio.wait_for(kernel.close(shutdown=True), STOP_SECONDS)
    except TimeoutError:
        raise KernelStartFailed(
            f"The kernel {kernel.kernel_id} ran a cell but cannot be stopped; end its process."
        ) from None


def _check_timeout(seconds: float) -> None:
    if not 0 < check_seconds(seconds, "The time-out") <= TIMEOUT_LIMIT:
        raise InvalidInput(f"The time-out must be above 0 and at most {TIMEOUT_LIMIT:g} seconds.")
