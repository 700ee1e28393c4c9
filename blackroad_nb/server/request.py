"""What a client sent, checked against the schemas that the OpenAPI document shows.

Everything here is a function of bytes and dictionaries, so that each refusal can be
tested without a server.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from blackroad_nb.core.times import read_moment
from blackroad_nb.errors import BodyTooLarge, InvalidInput, MediaTypeUnsupported
from blackroad_nb.server.operation import Parameter, Schema

BODY_LIMIT = 4 * 1024 * 1024  # bytes; parameters of a run are the largest thing sent
DEPTH_LIMIT = 64  # of lists and objects in each other; what reads them may recurse
MEDIA_TYPE = "application/json"
# Jupyter's own parameters, which any route may be called with.
_JUPYTER_PARAMETERS = frozenset({"token", "_xsrf", "_", "no_track_activity"})
_TOO_DEEP = f"The body is nested too deeply; {DEPTH_LIMIT} levels are the most."
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


def parse_body(raw: bytes, media_type: str | None, schema: Schema) -> dict[str, Any]:
    """Read a JSON body and check it.

    Args:
        media_type: the request's Content-Type header.

    Raises:
        BodyTooLarge: more than 4 MiB were sent.
        MediaTypeUnsupported: the body is not declared as JSON.
        InvalidInput: not JSON, or not what the schema asks; names the field.
    """
    if len(raw) > BODY_LIMIT:
        raise BodyTooLarge(f"The body has {len(raw)} bytes; {BODY_LIMIT} is the most.")
    if (media_type or "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise MediaTypeUnsupported(f"Send the body as JSON, with Content-Type: {MEDIA_TYPE}.")
    value = _parse_json(raw)
    _check(value, schema, "The body")
    return dict(value)


def parse_query(
    arguments: Mapping[str, Sequence[bytes]], parameters: Sequence[Parameter]
) -> dict[str, Any]:
    """Turn query arguments into values; those not given are absent.

    Raises:
        InvalidInput: unknown, repeated, missing or malformed; names the parameter.
    """
    known = {parameter.name: parameter for parameter in parameters}
    _refuse_unknown(arguments, known)
    values: dict[str, Any] = {}
    for name, parameter in known.items():
        given = arguments.get(name, ())
        if len(given) > 1:
            raise InvalidInput(f"{name} is given more than once; give it once.")
        if given:
            values[name] = _query_value(name, given[0], parameter.schema)
        elif parameter.required:
            raise InvalidInput(f"{name} is missing; {parameter.description}")
    return values


def is_set(flag: str | None) -> bool:
    """Read a query flag."""
    return flag in ("1", "true")


def _refuse_unknown(arguments: Mapping[str, Any], known: Mapping[str, Parameter]) -> None:
    for name in arguments:
        # JupyterLab appends a bare time stamp to get past caches.
        if name not in known and name not in _JUPYTER_PARAMETERS and not name.isdigit():
            choices = ", ".join(known) or "none"
            raise InvalidInput(f"There is no parameter {name!r} here; known are: {choices}.")


def _query_value(name: str, raw: bytes, schema: Schema) -> Any:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{name} is not UTF-8 text.") from None
    if "\0" in text:
        raise InvalidInput(f"{name} holds a NUL character; remove it.")
    value: Any = text
    if schema.get("type") == "integer":
        if not _INTEGER.fullmatch(text):
            raise InvalidInput(f"{name} must be a whole number, not {text!r}.")
        value = int(text)
    _check(value, schema, name)
    return read_moment(text, datetime.now(UTC)) if schema.get("format") == "moment" else value


def _parse_json(raw: bytes) -> Any:
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_number, parse_float=_number)
        # Half a surrogate pair can be escaped in JSON but stored nowhere.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput("The body escapes half a surrogate pair; send whole ones.") from None
    except ValueError as error:
        raise InvalidInput(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise InvalidInput(_TOO_DEEP) from None
    _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level := [child for parent in level for child in _children(parent)]:
        depth += 1
        if depth > DEPTH_LIMIT:
            raise InvalidInput(_TOO_DEEP)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text} is not finite")
    return value


def _check(value: Any, schema: Schema, where: str) -> None:
    error = next(_validator(_Key(schema)).iter_errors(value), None)
    if error is not None:
        path = [str(part) for part in error.absolute_path]
        raise InvalidInput(_sentence(error, ".".join(path) or where))


class _Key:
    """A schema as a key of a cache; schemas are constants and live for ever."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def __hash__(self) -> int:
        return id(self.schema)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.schema is self.schema


@cache
def _validator(key: _Key) -> Any:
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    return Draft202012Validator(key.schema)


def _sentence(error: Any, field: str) -> str:
    """Say one jsonschema error in words; `field` is where it happened."""
    wanted, got = error.validator_value, error.instance
    match error.validator:
        case "type":
            names = [wanted] if isinstance(wanted, str) else list(wanted)
            return f"{field} must be {' or '.join(_TYPES[name] for name in names)}."
        case "additionalProperties":
            known = error.schema["properties"]
            unknown = ", ".join(repr(name) for name in got if name not in known)
            return f"{field} holds the unknown field {unknown}; known are: {', '.join(known)}."
        case "required":
            missing = ", ".join(name for name in wanted if name not in got)
            return f"{field} lacks {missing}."
        case "enum":
            return f"{field} must be one of {', '.join(str(choice) for choice in wanted)}."
        case "minimum" | "maximum":
            side = "at least" if error.validator == "minimum" else "at most"
            return f"{field} must be {side} {wanted}, not {got}."
        case "minLength" | "minItems":
            return f"{field} must not be empty."
        case "maxLength" | "maxItems":
            return f"{field} is too long; {wanted} is the most."
        case "oneOf":
            return f"{field} needs exactly one of {' and '.join(_alternatives(wanted))}."
        case _:
            return f"{field} {error.schema.get('x-must', 'does not have the form it must have')}."


def _alternatives(branches: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for branch in branches for name in branch["required"]]
