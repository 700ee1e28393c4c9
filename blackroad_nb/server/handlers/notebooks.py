"""/blackroad/notebooks: the registry."""

from __future__ import annotations

from tornado import web

from blackroad_nb.core.history import DEFAULT_LIMIT
from blackroad_nb.core.rendering import notebook_record
from blackroad_nb.server.handlers.base import BlackRoadHandler, authorized
from blackroad_nb.server.operation import Answer, Asked, Operation, Parameter, operation
from blackroad_nb.server.request import is_set
from blackroad_nb.server.schemas import FLAG, LIMIT, NEW_NOTEBOOK, NOTEBOOK_CURSOR, refer

RESOURCE = "blackroad:notebooks"
_CONTENT = Parameter("content", FLAG, "1 adds what the file holds.")
_DELETE_FILE = Parameter("delete_file", FLAG, "1 removes the file too.")


class Notebooks(BlackRoadHandler):
    """The registered notebooks."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    @operation(
        Operation(
            id="listNotebooks",
            summary="List registered notebooks, the newest update first",
            query=(NOTEBOOK_CURSOR, LIMIT),
            answers={200: Answer("One page", refer("NotebookPage"))},
        )
    )
    async def get(self, asked: Asked) -> None:
        limit = asked.query.get("limit", DEFAULT_LIMIT)
        page = await self.parts.notebooks.list(limit, asked.query.get("cursor"))
        items = [notebook_record(notebook) for notebook in page.items]
        self.answer({"items": items, "next_cursor": page.next_cursor})

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    @operation(
        Operation(
            id="createNotebook",
            summary="Write a new notebook, or adopt a file, and register it",
            body=NEW_NOTEBOOK,
            answers={
                201: Answer(
                    "Registered",
                    refer("Notebook"),
                    headers={"Location": "Where the notebook is."},
                )
            },
            refusals=(404, 409),
        )
    )
    async def post(self, asked: Asked) -> None:
        notebook = await self.parts.notebooks.create(
            asked.body["name"],
            self.parts.below_root(asked.body["path"]),
            kernel=asked.body.get("kernel"),
            adopt=asked.body.get("adopt", False),
            metadata=asked.body.get("metadata"),
        )
        self.set_header("Location", self.location("notebooks", notebook.id))
        self.answer(notebook_record(notebook), 201)


class OneNotebook(BlackRoadHandler):
    """One registered notebook."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    @operation(
        Operation(
            id="getNotebook",
            summary="Show one notebook, with its content when asked",
            query=(_CONTENT,),
            answers={200: Answer("The notebook", refer("Notebook"))},
        )
    )
    async def get(self, asked: Asked, notebook_id: str) -> None:
        if is_set(asked.query.get("content")):
            notebook, document = await self.parts.notebooks.load(notebook_id)
            self.answer({**notebook_record(notebook), "content": document})
        else:
            self.answer(notebook_record(await self.parts.notebooks.get(notebook_id)))

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    @operation(
        Operation(
            id="deleteNotebook",
            summary="Forget a notebook and its history; the file stays unless asked",
            query=(_DELETE_FILE,),
            answers={200: Answer("What was forgotten", refer("Notebook"))},
            refusals=(409,),
        )
    )
    async def delete(self, asked: Asked, notebook_id: str) -> None:
        self.parts.running.check_idle(notebook_id)
        delete_file = is_set(asked.query.get("delete_file"))
        notebook, _ = await self.parts.notebooks.delete(notebook_id, delete_file)
        self.answer(notebook_record(notebook))
