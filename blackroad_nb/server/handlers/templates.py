"""/blackroad/templates: notebooks to start from."""

from __future__ import annotations

from dataclasses import asdict

from tornado import web

from blackroad_nb.core.rendering import notebook_record
from blackroad_nb.server.handlers.base import BlackRoadHandler, authorized
from blackroad_nb.server.operation import Answer, Asked, Operation, operation
from blackroad_nb.server.schemas import TEMPLATE_COPY, refer

RESOURCE = "blackroad:templates"


class Templates(BlackRoadHandler):
    """The templates."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    @operation(
        Operation(
            id="listTemplates",
            summary="List notebook templates",
            answers={200: Answer("The templates", refer("TemplateList"))},
        )
    )
    async def get(self, asked: Asked) -> None:  # noqa: ARG002
        templates = await self.parts.templates.list()
        self.answer({"items": [asdict(template) for template in templates]})


class TemplateCopy(BlackRoadHandler):
    """Starting from a template."""

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    @operation(
        Operation(
            id="copyTemplate",
            summary="Write a copy of a template and register it; nothing is ever overwritten",
            body=TEMPLATE_COPY,
            answers={
                201: Answer(
                    "The new notebook",
                    refer("Notebook"),
                    headers={"Location": "Where the notebook is."},
                )
            },
            refusals=(409,),
        )
    )
    async def post(self, asked: Asked, name: str) -> None:
        path = self.parts.below_root(asked.body["path"])
        notebook = await self.parts.templates.copy(
            name, path, asked.body.get("name"), asked.body.get("free_name", False)
        )
        self.set_header("Location", self.location("notebooks", notebook.id))
        self.answer(notebook_record(notebook), 201)
