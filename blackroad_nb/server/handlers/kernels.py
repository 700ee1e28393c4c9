"""/blackroad/kernels: what notebooks can run on here."""

from __future__ import annotations

from typing import Any

from tornado import web

from blackroad_nb.core.rendering import kernel_record
from blackroad_nb.server.handlers.base import BlackRoadHandler, authorized
from blackroad_nb.server.operation import Answer, Asked, Operation, operation
from blackroad_nb.server.schemas import KERNEL_CHECK, NEW_KERNEL, refer

RESOURCE = "blackroad:kernels"


class Kernels(BlackRoadHandler):
    """The kernels that can be started here."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    @operation(
        Operation(
            id="listKernels",
            summary="List kernels that can be started here",
            answers={200: Answer("The kernels", refer("KernelList"))},
        )
    )
    async def get(self, asked: Asked) -> None:  # noqa: ARG002
        kernels = await self.parts.kernels.list()
        self.answer({"items": [kernel_record(kernel) for kernel in kernels]})

    # To register a command is to be able to run it: `execute`, not `write`.
    @web.authenticated
    @authorized("execute", resource=RESOURCE)
    @operation(
        Operation(
            id="registerKernel",
            summary="Register a kernel, which JupyterLab's launcher then shows too",
            body=NEW_KERNEL,
            answers={201: Answer("Registered", refer("Kernel"))},
            refusals=(409, 502),
        )
    )
    async def post(self, asked: Asked) -> None:
        kernel = await self.parts.kernels.register(**asked.body)
        self.answer(kernel_record(kernel), 201)


class OneKernel(BlackRoadHandler):
    """One registered kernel."""

    @web.authenticated
    @authorized("execute", resource=RESOURCE)
    @operation(
        Operation(
            id="unregisterKernel",
            summary="Unregister a kernel that was registered here, and remove its kernelspec",
            answers={204: Answer("Gone")},
            refusals=(409,),
        )
    )
    async def delete(self, asked: Asked, name: str) -> None:  # noqa: ARG002
        await self.parts.kernels.unregister(name)
        self.set_status(204)
        self.finish()


class KernelCheck(BlackRoadHandler):
    """Trying a kernel."""

    @web.authenticated
    @authorized("execute", resource=RESOURCE)
    @operation(
        Operation(
            id="checkKernel",
            summary="Start a kernel, run one cell on it and stop it",
            body=KERNEL_CHECK,
            answers={200: Answer("It works", refer("KernelCheck"))},
            refusals=(502,),
        )
    )
    async def post(self, asked: Asked, name: str) -> None:
        result: dict[str, Any] = await self.parts.kernels.check(name, **asked.body)
        self.answer(result)
