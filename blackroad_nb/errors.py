"""Every error a user can meet, in one tree.

    BlackRoadError
    ├── InvalidInput            400  the request itself is wrong
    │   ├── InvalidNotebook          not a notebook we can read
    │   ├── PathNotAllowed      403  outside the allowed roots
    │   ├── BodyTooLarge        413  a request over HTTP
    │   └── MediaTypeUnsupported 415
    ├── NotFound                404
    │   ├── NotebookNotFound
    │   ├── RunNotFound
    │   ├── KernelNotFound
    │   ├── TemplateNotFound
    │   └── SessionNotFound
    ├── Conflict                409  true, but not now
    │   ├── NotebookExists
    │   ├── FileExists
    │   ├── FileChanged              somebody else wrote it meanwhile
    │   ├── KernelExists
    │   ├── RunActive
    │   └── SessionActive            it runs, starts or stops already
    ├── KernelFailed            502  the kernel did not do its part
    │   └── KernelStartFailed
    ├── ExportUnavailable       501  a converter this machine lacks
    ├── ExportFailed            422  a converter gave up on this notebook
    ├── ServerUnreachable       502  no notebook server answered
    ├── LaunchRefused           403  a session may not be started
    │   └── LimitReached        429       now, that is: too many run already
    ├── SessionFailed           502  a session could not be started or stopped
    ├── EngineUnavailable       503  the Docker engine cannot be used
    ├── HubUnreachable          502  no hub answered
    └── StoreError              503  the database
        ├── StoreBusy
        ├── StoreFull           507
        ├── StoreReadOnly
        ├── StoreCorrupt
        └── StoreTooNew

An error carries one sentence that says what happened and what to do. `code`
is for programs, `status` is the HTTP status an edge may answer with, and
`exit_code` is what the command line exits with.
"""

from __future__ import annotations

from typing import ClassVar


class BlackRoadError(Exception):
    """Anything this package refuses or cannot do, said in one sentence."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(BlackRoadError):
    """The request cannot be understood or carried out as it stands."""

    code = "invalid_input"
    status = 400
    exit_code = 2


class InvalidNotebook(InvalidInput):
    """The file is not a notebook that nbformat accepts."""

    code = "invalid_notebook"


class PathNotAllowed(InvalidInput):
    """The path lies outside the allowed roots once links are resolved."""

    code = "path_not_allowed"
    status = 403


class BodyTooLarge(InvalidInput):
    """A request's body is larger than any sensible one."""

    code = "body_too_large"
    status = 413


class MediaTypeUnsupported(InvalidInput):
    """A request's body is not declared as JSON."""

    code = "media_type_unsupported"
    status = 415


class NotFound(BlackRoadError):
    """What was named does not exist."""

    code = "not_found"
    status = 404
    exit_code = 3


class NotebookNotFound(NotFound):
    code = "notebook_not_found"


class RunNotFound(NotFound):
    code = "run_not_found"


class KernelNotFound(NotFound):
    code = "kernel_not_found"


class TemplateNotFound(NotFound):
    code = "template_not_found"


class SessionNotFound(NotFound):
    code = "session_not_found"


class Conflict(BlackRoadError):
    """The request is well formed but contradicts what is there now."""

    code = "conflict"
    status = 409
    exit_code = 4


class NotebookExists(Conflict):
    code = "notebook_exists"


class FileExists(Conflict):
    code = "file_exists"


class FileChanged(Conflict):
    """The file on disk is no longer the one that was read."""

    code = "file_changed"


class KernelExists(Conflict):
    code = "kernel_exists"


class RunActive(Conflict):
    code = "run_active"


class SessionActive(Conflict):
    """The session runs, starts or stops already."""

    code = "session_active"


class KernelFailed(BlackRoadError):
    """A kernel could not be started, or stopped answering."""

    code = "kernel_failed"
    status = 502
    exit_code = 5


class KernelStartFailed(KernelFailed):
    code = "kernel_start_failed"


class ExportUnavailable(BlackRoadError):
    """The format is known, but a program or package it needs is missing here."""

    code = "export_unavailable"
    status = 501
    exit_code = 6


class ExportFailed(BlackRoadError):
    """The converter could not do this notebook, or not in the time allowed."""

    code = "export_failed"
    status = 422
    exit_code = 6


class ServerUnreachable(BlackRoadError):
    """No notebook server answered at the address given or found."""

    code = "server_unreachable"
    status = 502
    exit_code = 7


class LaunchRefused(BlackRoadError):
    """This person may not start this session.

    Attributes:
        reason: a short word for programs and metrics, such as "not_permitted",
            "switched_off", "profile_not_yours", "limit_per_hub".
    """

    code = "launch_refused"
    status = 403
    exit_code = 9

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class LimitReached(LaunchRefused):
    """As many sessions run as are allowed, on the hub, of the profile or of the user."""

    code = "limit_reached"
    status = 429


class SessionFailed(BlackRoadError):
    """A session did not start or stop as it should have.

    Attributes:
        reason: a short word for programs and metrics, such as "image_missing",
            "no_capacity", "engine_gone", "too_slow", "out_of_memory".
    """

    code = "session_failed"
    status = 502
    exit_code = 10

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class EngineUnavailable(BlackRoadError):
    """The Docker engine does not answer, or not to this user."""

    code = "engine_unavailable"
    status = 503
    exit_code = 11


class HubUnreachable(BlackRoadError):
    """No hub answered at the address given or found."""

    code = "hub_unreachable"
    status = 502
    exit_code = 7


class StoreError(BlackRoadError):
    """The database could not be used; nothing in it was changed."""

    code = "store_error"
    status = 503
    exit_code = 8


class StoreBusy(StoreError):
    code = "store_busy"


class StoreFull(StoreError):
    code = "store_full"
    status = 507


class StoreReadOnly(StoreError):
    code = "store_read_only"


class StoreCorrupt(StoreError):
    code = "store_corrupt"


class StoreTooNew(StoreError):
    code = "store_too_new"


def error_class(code: str | None) -> type[BlackRoadError]:
    """Return the error that carries this code; the root of the tree for an unknown one."""
    kinds = [BlackRoadError]
    for kind in kinds:
        if kind.code == code:
            return kind
        kinds.extend(kind.__subclasses__())
    return BlackRoadError
