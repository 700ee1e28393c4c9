"""What people read when a session could not be had: what is wrong, why, and what to do.

The error that was raised says the cause in one sentence. This table adds a heading and
the way out, and turns both into what JupyterHub's pages, its progress stream and its
API show. A traceback or a bare "500" never reaches anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jupyterhub.spawner import SpawnException
from markupsafe import Markup
from tornado import web

from blackroad_nb.errors import (
    BlackRoadError,
    EngineUnavailable,
    InvalidInput,
    LaunchRefused,
    NotFound,
    SessionFailed,
)

UNEXPECTED = "Something unexpected went wrong; the hub's log says more."


@dataclass(frozen=True, slots=True)
class Explanation:
    """A failure as a page shows it.

    Attributes:
        reason: a short word for programs and metrics.
        title: what happened, in a few words.
        cause: one or two sentences on why; may hold text from anywhere.
        remedy: what the reader can do.
        status: the HTTP status of the answer.
    """

    reason: str
    title: str
    cause: str
    remedy: str
    status: int

    def html(self) -> Markup:
        """Return it as HTML; whatever it holds is escaped."""
        title = Markup("<strong class='br-failure-title'>{}</strong>").format(self.title)
        line = Markup(" <span class='br-failure-text'>{}</span>")
        return title + Markup("").join(
            line.format(text) for text in (self.cause, self.remedy) if text
        )

    def text(self) -> str:
        """Return it as one line for logs, the API and the command line."""
        remedy = "" if self.reason in ON_THE_PAGE else self.remedy
        return " ".join(part for part in (self.cause or f"{self.title}.", remedy) if part)


ASK = "Tell an administrator of this hub."
DEFAULT = ("The session could not be started", "Try again; if it stays so, ask an administrator.")
KEPT = "Files you had saved are still there."

# reason -> heading, way out. A reason that is not here gets DEFAULT.
REASONS: Mapping[str, tuple[str, str]] = {
    "not_permitted": (
        "You may not start sessions",
        "Ask an administrator of this hub to make you a researcher.",
    ),
    "token_not_permitted": (
        "This token may not start sessions",
        "Log in with a browser, or make a token that may launch.",
    ),
    "policy_unreadable": (
        "Nobody can start a session now",
        "An administrator of this hub has to mend the file.",
    ),
    "user_not_permitted": (
        "This user may not have sessions",
        "Make the user a researcher first: add the user to the group 'researchers'.",
    ),
    # What the policy says of these tells the way out already.
    "switched_off": ("Sessions are switched off", ""),
    "profile_not_yours": ("This profile is not for you", ""),
    "limit_per_hub": ("All places are taken", ""),
    "limit_per_profile": ("All places of this profile are taken", ""),
    "limit_per_user": ("You have as many sessions as you may", ""),
    "cross_site": ("This start was not asked for by you", "If you want it, start it here."),
    "invalid_input": ("This launch could not be understood", "Choose again and start."),
    "template_not_found": ("There is no such template", "Choose one below."),
    "image_missing": (
        "The image of this profile is missing",
        "Choose another profile, or ask an administrator to build or load the image.",
    ),
    "no_capacity": (
        "The machine has no room for this session",
        "Choose a smaller profile, or try again when others have stopped.",
    ),
    "engine_gone": (
        "Docker does not answer",
        "Try again in a minute; if it stays so, an administrator has to start Docker.",
    ),
    "mount_missing": ("A folder that this session needs is missing", ASK),
    "bad_image": ("The image of this profile cannot run a session", ASK),
    "disk_full": ("The disk of this hub is full", "An administrator has to make room."),
    "network_missing": ("The network of the sessions is missing", ASK),
    "no_addresses": ("There is no network address left for this session", ASK),
    "name_taken": ("Another hub has a session of this name", ASK),
    "engine_refused": ("Docker refused to start this session", ASK),
    "engine_denied": ("Docker refused to start this session", ASK),
    "work_not_yours": ("Your work folder cannot be used", ASK),
    "work_unusable": ("Your work folder cannot be used", ASK),
    "container_not_found": ("The session's container is gone", "Try again."),
    "not_started": ("The session's container could not be started", ASK),
    "exited": DEFAULT,
    "shut_down": ("The session was shut down while it started", "Try again."),
    "killed": ("The session was ended from outside while it started", "Try again."),
    "removed": ("The session was removed from outside while it started", "Try again."),
    "too_slow": (
        "The session took too long to start",
        "Try again. If it happens twice, an administrator should look into the hub's log.",
    ),
    "out_of_memory": (
        "The session ran out of memory",
        "Files you had saved are still there. Choose a profile with more memory, "
        "or load less data at once.",
    ),
    "failed": DEFAULT,
    "cancelled": ("The start was called off", ""),
    "throttled": ("Many sessions are starting", "Try again in a minute."),
}
# Their way out is a sentence for the page: it stands above the form. A program has the
# cause, which names what there is.
ON_THE_PAGE = frozenset({"cross_site", "invalid_input", "template_not_found"})

# How a session that had been running ended; reason -> heading and advice.
ENDINGS: Mapping[str, tuple[str, str]] = {
    "out_of_memory": ("Your last session ran out of memory", REASONS["out_of_memory"][1]),
    "engine_gone": ("Your last session was lost", KEPT),
    "lost": ("Your last session was lost", KEPT),
    "killed": ("Your last session was ended from outside", KEPT),
    "removed": ("Your last session was removed from outside", KEPT),
}
DEFAULT_ENDING = ("Your last session ended by itself", KEPT)


def explain(error: BaseException) -> Explanation:
    """Say what people should read about an error, whatever it is.

    The text of an error that is not ours stays in the log: it may name files, images
    or addresses that are not the reader's business. `jupyterhub_message` is there for people.
    """
    if isinstance(error, RefusedSpawn):
        return error.explanation
    if isinstance(error, BlackRoadError):
        return of_reason(_reason(error), error.message, error.status)
    told = getattr(error, "jupyterhub_message", "")
    if told:  # an operator's hook says it to people
        return of_reason("", str(told), int(getattr(error, "status_code", 500)))
    if isinstance(error, TimeoutError):
        return of_reason("too_slow", "It did not answer in the time allowed.", 504)
    if isinstance(error, SpawnException):
        return of_reason(str(error.reason), str(error.message), int(error.status_code))
    if isinstance(error, web.HTTPError):
        reason = "throttled" if error.status_code == 429 else ""
        cause = str(error.get_message() or "") if error.status_code < 500 else ""
        return of_reason(reason, cause or UNEXPECTED, error.status_code)
    return of_reason("internal", UNEXPECTED, 500)


def of_reason(reason: str, cause: str, status: int) -> Explanation:
    """Look a reason up; an unknown one keeps its cause under a general heading."""
    title, remedy = REASONS.get(reason, DEFAULT)
    return Explanation(reason, title, cause, remedy, status)


def ending(reason: str, message: str) -> Explanation:
    """Say how the last session ended."""
    title, remedy = ENDINGS.get(reason, DEFAULT_ENDING)
    if "saved work is kept" in message:  # it says the way out, too
        remedy = ""
    return Explanation(reason, title, message, remedy, 200)


class RefusedSpawn(SpawnException):  # type: ignore[misc]  # jupyterhub has no types
    """A launch that did not come to be, as JupyterHub's pages and API can show it.

    JupyterHub logs it without a traceback and does not count it against the hub.
    """

    def __init__(self, explanation: Explanation) -> None:
        super().__init__(
            explanation.text(),
            reason=explanation.reason or "failed",
            status_code=explanation.status,
            message_html=str(explanation.html()),
        )
        self.explanation = explanation
        # The spawn form, the pending page and the progress stream look for these two.
        self.jupyterhub_message = explanation.text()
        self.jupyterhub_html_message = str(explanation.html())


def spawn_exception(error: BaseException) -> RefusedSpawn:
    """Return what a spawner should raise instead of an error."""
    return error if isinstance(error, RefusedSpawn) else RefusedSpawn(explain(error))


def _reason(error: BlackRoadError) -> str:
    if isinstance(error, LaunchRefused | SessionFailed):
        return error.reason
    if isinstance(error, EngineUnavailable):
        return "engine_gone"
    if isinstance(error, NotFound):
        return error.code
    return "invalid_input" if isinstance(error, InvalidInput) else error.code
