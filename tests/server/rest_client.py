"""Calls routes as a program would, and takes refusals calmly."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tornado.httputil import HTTPHeaders


@dataclass(frozen=True)
class Reply:
    """What a route answered."""

    status: int
    headers: HTTPHeaders
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Api:
    """Calls routes under /blackroad of the test's server."""

    def __init__(self, fetch: Callable[..., Any]) -> None:
        self._fetch = fetch

    async def __call__(
        self,
        method: str,
        path: str,
        /,
        body: Any = None,
        headers: dict[str, str] | None = None,
        **params: str,
    ) -> Reply:
        """Send `body` as JSON, or bytes as they are; return whatever is answered."""
        sent = {"Content-Type": "application/json"} if body is not None else {}
        content = body if body is None or isinstance(body, bytes) else json.dumps(body)
        response = await self._fetch(
            "blackroad",
            *path.strip("/").split("/"),
            method=method,
            body=content,
            headers={**sent, **(headers or {})},
            params=params,
            raise_error=False,
            allow_nonstandard_methods=True,
            request_timeout=60,
        )
        return Reply(response.code, response.headers, response.body)


def write_notebook(path: Path, *sources: str, kernel: str = "python3") -> Path:
    """Write a notebook file with one code cell for each source."""
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]
    metadata = {"kernelspec": {"name": kernel, "display_name": kernel}}
    document = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(document))
    return path
