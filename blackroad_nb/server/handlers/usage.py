"""/blackroad/usage: executions and their time, added up."""

from __future__ import annotations

from tornado import web

from blackroad_nb.core.rendering import usage_record
from blackroad_nb.core.usage import UsageQuery
from blackroad_nb.server.handlers.base import BlackRoadHandler, authorized
from blackroad_nb.server.operation import Answer, Asked, Operation, Parameter, operation
from blackroad_nb.server.schemas import SINCE, UNTIL, WORD, refer

RESOURCE = "blackroad:usage"
_BY = Parameter(
    "by",
    {"type": "string", "enum": ["user", "notebook", "day"], "default": "day"},
    "what to add up over.",
)


class Usage(BlackRoadHandler):
    """What was used."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    @operation(
        Operation(
            id="getUsage",
            summary="Add up executions and their time by user, notebook or day",
            query=(_BY, Parameter("user", WORD, "only what this user ran."), SINCE, UNTIL),
            answers={200: Answer("The totals", refer("UsageReport"))},
        )
    )
    async def get(self, asked: Asked) -> None:
        query = UsageQuery(**asked.query)
        totals = await self.parts.store.usage(query)
        self.answer({"by": query.by, "items": [usage_record(total) for total in totals]})
