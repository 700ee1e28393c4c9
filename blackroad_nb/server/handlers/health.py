"""/blackroad/health: what works, what does not, and what to do about it."""

from __future__ import annotations

from tornado import web

from blackroad_nb.server.handlers.base import BlackRoadHandler, authorized
from blackroad_nb.server.operation import Answer, Asked, Operation, operation
from blackroad_nb.server.schemas import refer

RESOURCE = "blackroad:health"


class Health(BlackRoadHandler):
    """The state of this extension."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    @operation(
        Operation(
            id="getHealth",
            summary="Say what works; answers 200 also when much is broken",
            answers={200: Answer("The state", refer("Health"))},
            polled=True,
        )
    )
    async def get(self, asked: Asked) -> None:  # noqa: ARG002
        self.answer(await self.parts.health())
