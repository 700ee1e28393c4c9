"""The OpenAPI 3.1 document, built from the operations that the handlers carry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from blackroad_nb import __version__
from blackroad_nb.server.operation import Answer, Operation, Parameter
from blackroad_nb.server.schemas import COMPONENTS, refer

METHODS = ("get", "post", "put", "patch", "delete")
# What any route may answer with: malformed, not allowed, and the store's troubles.
_ALWAYS = (400, 403, 503, 507)
_WITH_BODY = (413, 415)
_PATH_PARAMETER = re.compile(r"\{(\w+)\}")


def document(routes: Iterable[tuple[str, type]], base_url: str) -> dict[str, Any]:
    """Describe every route.

    Args:
        routes: path templates such as `/blackroad/notebooks/{notebook_id}`, each with
            its handler class.
        base_url: the server's, which goes in front of each path.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "BlackRoad Notebooks",
            "version": __version__,
            "description": (
                "Notebooks that run, are recorded and come back. Every refusal is an Error "
                "with a code for programs and a sentence for people."
            ),
        },
        "servers": [{"url": base_url.rstrip("/") or "/"}],
        "security": [{"token": []}],
        "paths": {path: _path_item(path, handler) for path, handler in routes},
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`token` and a space before the server's token.",
                }
            },
        },
    }


def operations(handler: type) -> dict[str, Operation]:
    """Return what each verb of a handler carries."""
    found = {}
    for method in METHODS:
        described = getattr(getattr(handler, method), "operation", None)
        if described is not None:
            found[method] = described
    return found


def path_pattern(path: str) -> str:
    """Turn a path template into the regular expression that Tornado routes by."""
    return _PATH_PARAMETER.sub("([^/]+)", path)


def _path_item(path: str, handler: type) -> dict[str, Any]:
    item: dict[str, Any] = {
        method: _operation(described, bool(_PATH_PARAMETER.search(path)))
        for method, described in operations(handler).items()
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATH_PARAMETER.findall(path)
    ]
    return {**item, **({"parameters": parameters} if parameters else {})}


def _operation(described: Operation, named: bool) -> dict[str, Any]:
    refusals = {*_ALWAYS, *described.refusals}
    if named:
        refusals.add(404)
    if described.body is not None:
        refusals.update(_WITH_BODY)
    answers = {status: _answer(answer) for status, answer in described.answers.items()}
    answers.update({status: _refusal(status) for status in refusals})
    result: dict[str, Any] = {
        "operationId": described.id,
        "summary": described.summary,
        "responses": {str(status): answers[status] for status in sorted(answers)},
    }
    parameters = [_parameter(parameter, "query") for parameter in described.query]
    parameters += [_parameter(parameter, "header") for parameter in described.headers]
    if parameters:
        result["parameters"] = parameters
    if described.body is not None:
        content = {"application/json": {"schema": described.body}}
        result["requestBody"] = {"required": True, "content": content}
    return result


def _parameter(parameter: Parameter, place: str) -> dict[str, Any]:
    text = parameter.description
    return {
        "name": parameter.name,
        "in": place,
        "required": parameter.required,
        "description": text[:1].upper() + text[1:],
        "schema": parameter.schema,
    }


def _answer(answer: Answer) -> dict[str, Any]:
    content: dict[str, Mapping[str, Any]] = {media_type: {} for media_type in answer.media_types}
    if answer.schema is not None:
        content["application/json"] = {"schema": answer.schema}
    result: dict[str, Any] = {"description": answer.description}
    if content:
        result["content"] = content
    if answer.headers:
        result["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in answer.headers.items()
        }
    return result


def _refusal(status: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": {"schema": refer("Error")}},
    }
