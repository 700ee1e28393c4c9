"""/blackroad/exports and a notebook's export: other formats of a notebook."""

from __future__ import annotations

import asyncio
import io
import zipfile
from dataclasses import asdict
from pathlib import Path

from tornado import web

from blackroad_nb.core.export import DEFAULT_FORMAT
from blackroad_nb.ports import Exported
from blackroad_nb.server.handlers.base import BlackRoadHandler, authorized
from blackroad_nb.server.handlers.download import Download
from blackroad_nb.server.operation import Answer, Asked, Operation, Parameter, operation
from blackroad_nb.server.request import is_set
from blackroad_nb.server.schemas import FLAG, WORD, refer

RESOURCE = "blackroad:exports"
MEDIA_TYPES = (
    *("application/pdf", "application/x-ipynb+json", "application/zip", "text/asciidoc"),
    *("text/html", "text/markdown", "text/x-python", "text/x-rst", "text/x-tex"),
    "*/*",  # a script in another language, or another package's format
)


class Exports(BlackRoadHandler):
    """The formats."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    @operation(
        Operation(
            id="listExportFormats",
            summary="List formats, and why those that are not available are not",
            answers={200: Answer("The formats", refer("ExportFormatList"))},
        )
    )
    async def get(self, asked: Asked) -> None:  # noqa: ARG002
        formats = await self.parts.exports.formats()
        self.answer({"items": [asdict(known) for known in formats]})
        self.parts.warm_exporter()


class NotebookExport(Download):
    """One notebook in another format."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    @operation(
        Operation(
            id="exportNotebook",
            summary="Download a notebook in another format; HTML is made safe to open",
            query=(
                Parameter(
                    "format", {**WORD, "default": DEFAULT_FORMAT}, "one that the list names."
                ),
                Parameter("trusted", FLAG, "1 leaves scripts in; needs the execute permission."),
            ),
            answers={
                200: Answer(
                    "The file, or a zip archive when files go beside it", media_types=MEDIA_TYPES
                )
            },
            refusals=(422, 501),
        )
    )
    async def get(self, asked: Asked, notebook_id: str) -> None:
        trusted = is_set(asked.query.get("trusted"))
        if trusted:
            await self.require("execute", RESOURCE)
        notebook = await self.parts.notebooks.get(notebook_id)
        exported = await self.parts.exports.export(
            notebook_id, format=asked.query.get("format", DEFAULT_FORMAT), trusted=trusted
        )
        name = Path(notebook.path).stem
        if exported.resources:
            archive = await asyncio.to_thread(_archive, name, exported)
            self.send_file(f"{name}.zip", archive, "application/zip")
        else:
            self.send_file(name + exported.extension, exported.body, exported.mime_type)


def _archive(name: str, exported: Exported) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name + exported.extension, exported.body)
        for path, content in exported.resources.items():
            archive.writestr(path, content)
    return packed.getvalue()
