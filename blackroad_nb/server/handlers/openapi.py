"""/blackroad/openapi.json: the routes, described for programs."""

from __future__ import annotations

from tornado import web

from blackroad_nb.server.handlers.base import BlackRoadHandler, authorized
from blackroad_nb.server.openapi import document
from blackroad_nb.server.operation import Answer, Asked, Operation, operation

RESOURCE = "blackroad:openapi"


class OpenApi(BlackRoadHandler):
    """The OpenAPI document."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    @operation(
        Operation(
            id="getOpenApi",
            summary="This document",
            answers={200: Answer("The document", {"type": "object"})},
        )
    )
    async def get(self, asked: Asked) -> None:  # noqa: ARG002
        from blackroad_nb.server.handlers import ROUTES

        self.answer(document(ROUTES, self.base_url))
