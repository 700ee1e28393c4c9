"""One verb of one route: what it takes, what it answers, and the check of both.

A handler's verb carries its `Operation`. Requests are validated by it and the OpenAPI
document is built from it, so the document cannot say anything else than the code does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from blackroad_nb.errors import BlackRoadError

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter; `description` ends in a full stop and reads after a name."""

    name: str
    schema: Schema
    description: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response: its JSON schema, or other media types."""

    description: str
    schema: Schema | None = None
    media_types: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """What the OpenAPI document says of one verb.

    Attributes:
        id: the name generated clients use.
        refusals: statuses beyond those that every route may answer with.
        polled: programs call it over and over, so it is no sign of a person at work.
    """

    id: str
    summary: str
    answers: Mapping[int, Answer]
    query: tuple[Parameter, ...] = ()
    body: Schema | None = None
    headers: tuple[Parameter, ...] = ()
    refusals: tuple[int, ...] = ()
    polled: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that passed its operation's checks."""

    query: Mapping[str, Any]
    body: Mapping[str, Any]
    headers: Mapping[str, Any]


Verb = Callable[..., Awaitable[None]]


def operation(described: Operation) -> Callable[[Verb], Verb]:
    """Check each request before the verb sees it, and answer refusals in one form."""

    def decorate(method: Verb) -> Verb:
        @wraps(method)
        async def checked(self: Any, *path: str) -> None:
            try:
                await method(self, self.read_request(described), *path)
            except BlackRoadError as error:
                self.refuse(error)

        checked.operation = described  # type: ignore[attr-defined]
        return checked

    return decorate
