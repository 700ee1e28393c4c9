"""The shapes that travel over REST, as JSON Schema 2020-12.

Requests are checked by these very objects; answers are held to theirs by the tests.
Request schemas stand alone; answers refer to the named components.
"""

from __future__ import annotations

from typing import Any

from blackroad_nb.core.execution import Status
from blackroad_nb.core.history import DEFAULT_LIMIT, MOST
from blackroad_nb.core.notebook import NAME_LIMIT
from blackroad_nb.core.run import RunStatus
from blackroad_nb.server.operation import Parameter, Schema

_PATH_LIMIT = 4096  # PATH_MAX of Linux
_DAY_SECONDS = 86_400
_LARGEST = 2**63 - 1  # what SQLite can hold


def refer(name: str) -> Schema:
    """Point to a named component."""
    return {"$ref": f"#/components/schemas/{name}"}


def closed(required: tuple[str, ...], **properties: Schema) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _whole(**properties: Schema) -> dict[str, Any]:
    """A closed object whose fields are all there."""
    return closed(tuple(properties), **properties)


def _or_null(kind: str, **more: Any) -> Schema:
    return {"type": [kind, "null"], **more}


def _page(item: str) -> Schema:
    return closed(
        ("items", "next_cursor"),
        items={"type": "array", "items": refer(item)},
        next_cursor=_or_null("string", description="Pass as `cursor`; null on the last page."),
    )


TEXT: Schema = {"type": "string"}
TIME: Schema = {"type": "string", "format": "date-time"}
MOMENT: Schema = {
    "type": "string",
    "format": "moment",
    "anyOf": [{"format": "date-time"}, {"format": "date"}, {"pattern": "^[0-9]{1,4}[smhdw]$"}],
    "description": "A date, a time, or an age such as `7d` or `12h`; UTC when it names no zone.",
    "examples": ["2026-11-01T09:30:00Z", "2026-11-01", "7d"],
}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "string", "enum": ["0", "1", "false", "true"], "default": "0"}
NOTEBOOK_PATH: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": _PATH_LIMIT,
    "pattern": r"[^/]\.ipynb$",
    "x-must": "must be a path that ends in .ipynb",
    "description": "Relative to the server's root folder, or absolute below it.",
}
WORD: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": NAME_LIMIT,
    "pattern": r"^[^\x00]*$",
    "x-must": "must not hold a NUL character",
}
SEARCH: Schema = {**WORD, "maxLength": 1000}
METADATA: Schema = {"type": "object", "default": {}}

# query parameters ------------------------------------------------------------------
LIMIT = Parameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT},
    "how many rows at most.",
)
NOTEBOOK_CURSOR = Parameter(
    "cursor", {"type": "string", "minLength": 1}, "where the page before ended, as it said."
)
SEQ_CURSOR = Parameter(
    "cursor",
    {"type": "integer", "minimum": 0, "maximum": _LARGEST},
    "where the page before ended, as it said.",
)
SINCE = Parameter("since", MOMENT, "only what started then or later.")
UNTIL = Parameter("until", MOMENT, "only what started before.")
OUTPUTS = Parameter(
    "outputs", FLAG, "1 brings the outputs too, which can be large; they are null otherwise."
)
OF_NOTEBOOK = Parameter("notebook_id", WORD, "only what belongs to this notebook.")

# request bodies --------------------------------------------------------------------
NEW_NOTEBOOK = closed(
    ("name", "path"),
    name={**WORD, "pattern": r"\S", "x-must": "must hold a visible character"},
    path=NOTEBOOK_PATH,
    kernel={**WORD, "description": "The file's own when it is adopted, else python3."},
    adopt={"type": "boolean", "default": False, "description": "Register the file that is there."},
    metadata=METADATA,
)
NEW_RUN = {
    **closed(
        (),
        notebook_id=WORD,
        path={**NOTEBOOK_PATH, "description": "A notebook file; registered when it is not yet."},
        cell={"type": "integer", "minimum": 0, "maximum": _LARGEST, "description": "Zero-based."},
        with_predecessors={"type": "boolean", "default": False},
        timeout_seconds={
            "type": "number",
            "minimum": 0,
            "maximum": 366 * _DAY_SECONDS,
            "description": "Per cell; 0 for none. Else the cell's own, else 60.",
        },
        parameters={
            "type": "object",
            "default": {},
            "description": 'JSON; NaN and infinities as {"$float": "nan"}, "inf" or "-inf".',
        },
        resume={"type": "boolean", "default": False},
        continue_on_error={"type": "boolean", "default": False},
        keep_kernel={"type": "boolean", "default": False},
        output={**NOTEBOOK_PATH, "description": "Write here instead of in place."},
        kernel={**WORD, "description": "Run on this one; else on the one the notebook names."},
    ),
    "oneOf": [{"required": ["notebook_id"]}, {"required": ["path"]}],
}
NEW_KERNEL = closed(
    ("name", "language", "display_name", "argv"),
    name={
        **WORD,
        "maxLength": 100,
        "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]*$",
        "x-must": "may hold only letters, digits, '.', '_' and '-', and not begin with '.'",
    },
    language=WORD,
    display_name=WORD,
    argv={
        "type": "array",
        "minItems": 1,
        "maxItems": 1000,
        "items": {**TEXT, "minLength": 1},
        "description": "`-f {connection_file}` is appended where that file is not named.",
    },
    env={
        "type": "object",
        "additionalProperties": TEXT,
        "default": {},
        "description": "Jupyter replaces $NAME in a value at the start; $$ stands for a $.",
    },
    check={"type": "boolean", "default": True, "description": "Start it and run one cell first."},
    timeout_seconds={"type": "number", "exclusiveMinimum": 0, "maximum": 600, "default": 60},
)
KERNEL_CHECK = closed(
    (), timeout_seconds={"type": "number", "exclusiveMinimum": 0, "maximum": 600, "default": 60}
)
TEMPLATE_COPY = closed(
    ("path",),
    path=NOTEBOOK_PATH,
    name={**WORD, "pattern": r"\S"},
    free_name={
        "type": "boolean",
        "default": False,
        "description": "Take the next free name beside a file that is at the path already.",
    },
)

# answers ---------------------------------------------------------------------------
_STATUSES = [status.value for status in Status]
_CELL = _whole(
    index=COUNT,
    cell_id=_or_null("string"),
    status={"type": "string", "enum": _STATUSES},
    execution_id=_or_null("string"),
    execution_count=_or_null("integer"),
    duration_ms=_or_null("integer"),
    error=_or_null("string"),
    outputs={
        "type": ["array", "null"],
        "items": {"type": "object"},
        "description": "nbformat outputs; null unless `outputs=1` asks for them.",
    },
    started_at=_or_null("string", format="date-time"),
)
COMPONENTS: dict[str, Schema] = {
    "Error": closed(("code", "message"), code=TEXT, message=TEXT),
    "Notebook": closed(
        ("id", "name", "path", "kernel", "created_at", "updated_at", "cell_count", "metadata"),
        id={**TEXT, "format": "uuid"},
        name=TEXT,
        path={**TEXT, "description": "Absolute."},
        kernel=TEXT,
        created_at=TIME,
        updated_at=TIME,
        cell_count=COUNT,
        metadata={"type": "object"},
        content={"type": "object", "description": "The notebook itself, when asked for."},
    ),
    "NotebookPage": _page("Notebook"),
    "Run": _whole(
        seq=_or_null("integer"),
        id=TEXT,
        notebook_id=TEXT,
        status={"type": "string", "enum": [status.value for status in RunStatus]},
        requested={"type": "object"},
        path=TEXT,
        kernel=TEXT,
        user=_or_null("string"),
        kernel_id=_or_null("string"),
        artefact=_or_null("string", description="The file that was written."),
        cells={"type": "array", "items": _CELL},
        message=_or_null("string", description="What to know of how it ended."),
        code=_or_null("string", description="Of the error that no cell is to blame for."),
        started_at=_or_null("string", format="date-time"),
        finished_at=_or_null("string", format="date-time"),
        owner=_or_null("string"),
    ),
    "RunPage": _page("Run"),
    "Execution": _whole(
        seq=_or_null("integer"),
        id=TEXT,
        notebook_id=_or_null("string"),
        path=_or_null("string"),
        cell_index=_or_null("integer"),
        cell_id=_or_null("string"),
        execution_count=_or_null("integer"),
        status={"type": "string", "enum": _STATUSES},
        source=TEXT,
        output={
            "type": ["array", "null"],
            "items": {"type": "object"},
            "description": "nbformat outputs; null where none were kept, and unless "
            "`outputs=1` asks for them.",
        },
        error=_or_null("string"),
        started_at=TIME,
        finished_at=_or_null("string", format="date-time"),
        duration_ms=_or_null("integer"),
        queued_at=_or_null("string", format="date-time"),
        origin={"type": "string", "enum": ["interactive", "run"]},
        run_id=_or_null("string"),
        kernel_id=_or_null("string"),
        user=_or_null("string"),
        user_source=_or_null("string"),
        server=_or_null("string"),
    ),
    "HistoryPage": _page("Execution"),
    "Deleted": closed(("deleted",), deleted=COUNT),
    "ExportFormat": closed(
        ("name", "extension", "mime_type", "available", "reason"),
        name=TEXT,
        extension=TEXT,
        mime_type=TEXT,
        available={"type": "boolean"},
        reason=_or_null("string", description="Why it is not available, and what it needs."),
    ),
    "ExportFormatList": closed(("items",), items={"type": "array", "items": refer("ExportFormat")}),
    "Kernel": closed(
        ("name", "language", "display_name", "argv", "registered"),
        name=TEXT,
        language=TEXT,
        display_name=TEXT,
        argv={"type": "array", "items": TEXT},
        registered={"type": "boolean", "description": "Through this API or the CLI."},
        problem=_or_null("string", description="Why it may not be what it was."),
    ),
    "KernelList": closed(("items",), items={"type": "array", "items": refer("Kernel")}),
    "KernelCheck": _whole(name=TEXT, language=TEXT, source=TEXT, status=TEXT, duration_ms=COUNT),
    "Template": closed(("name", "title", "description"), name=TEXT, title=TEXT, description=TEXT),
    "TemplateList": closed(("items",), items={"type": "array", "items": refer("Template")}),
    "UsageTotal": closed(
        ("key", "executions", "duration_ms"),
        key=_or_null("string", description="The user, the notebook's path or the day (UTC)."),
        executions=COUNT,
        duration_ms=COUNT,
    ),
    "UsageReport": closed(
        ("by", "items"), by=TEXT, items={"type": "array", "items": refer("UsageTotal")}
    ),
    "Health": {
        "type": "object",
        "required": ["status", "version", "problems", "store", "recorder", "runs", "kernels"],
        "properties": {
            "status": {"type": "string", "enum": ["ok", "degraded", "broken"]},
            "version": TEXT,
            "problems": {
                "type": "array",
                "items": TEXT,
                "description": "What is wrong and what to do, one sentence each.",
            },
            "store": closed(
                ("status", "path"),
                status={"type": "string", "enum": ["ok", "replaced", "broken"]},
                path=TEXT,
                code=TEXT,
                message=TEXT,
            ),
            "recorder": {"type": "object"},
            "runs": closed(("active",), active=COUNT),
            "kernels": closed(("warm",), warm=COUNT),
        },
    },
}
