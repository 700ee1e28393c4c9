"""The spawn page: what can be launched, as cards that need no script.

`render_form` makes the page's form out of plain values. Everything that users or
operators wrote is escaped by the template engine, never here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jupyterhub.spawner import SpawnException

from blackroad_nb.core.launch import LaunchChoice
from blackroad_nb.core.profile import GIB, Profile
from blackroad_nb.core.server import ServerRecord, ServerState
from blackroad_nb.core.template import Template
from blackroad_nb.hub.failures import Explanation, ending, explain

TEMPLATES = Path(__file__).resolve().parent / "templates"
MIB = 1024**2
_STATUS_LINE = re.compile(r"HTTP \d{3}: [^(]*\((.+)\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ProfileCard:
    """A profile, and why it is not for this user; None when it is."""

    profile: Profile
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class SpawnPage:
    """Everything the page shows.

    Attributes:
        first_visit: this user has never chosen anything; the first template is marked, so
            that Start alone leads into a notebook.
        last: what was chosen last time; its template is marked again, its wish for an
            original is not, since that would add a file at every start.
        ended: the last session of this name, if there was one.
        isolates: sessions are containers; without, the page says what that means.
        enabled: launching is switched on.
        notice: one more sentence for this user, for example that not every template
            could be read.
    """

    cards: Sequence[ProfileCard]
    templates: Sequence[Template] = ()
    last: LaunchChoice | None = None
    ended: ServerRecord | None = None
    isolates: bool = True
    enabled: bool = True
    notice: str = ""
    first_visit: bool = False


def render_form(page: SpawnPage) -> str:
    """Return the HTML of the form's inside, its button included."""
    return str(
        _environment()
        .get_template("blackroad_form.html")
        .render(
            page=page,
            cards=[(card, limits(card.profile, page.isolates)) for card in page.cards],
            profile=checked_profile(page),
            template=checked_template(page),
            ended=last_ending(page.ended),
        )
    )


def options_from_form(form: Mapping[str, Sequence[Any]]) -> dict[str, object]:
    """Read what the form or a link sent into JupyterHub's `user_options`.

    Nothing is judged here, so that what is wrong is refused in one place, the launch;
    what is unknown stays in, for it to be refused there. Bytes of an upload do not.
    """
    options: dict[str, object] = {}
    for name, values in form.items():
        if name == "_xsrf":
            continue
        texts = [value if isinstance(value, str) else "" for value in values]
        options[name] = texts[0] if len(texts) == 1 else texts
    return options


def checked_profile(page: SpawnPage) -> str | None:
    """Return which profile is marked: the last one if it may be had, else the first."""
    allowed = [card.profile.name for card in page.cards if card.why_not is None]
    if page.last is not None and page.last.profile in allowed:
        return page.last.profile
    return allowed[0] if allowed else None


def checked_template(page: SpawnPage) -> str:
    """Return which template is marked; "" is none."""
    names = [template.name for template in page.templates]
    if page.first_visit and names:
        return names[0]
    last = page.last.template if page.last is not None else None
    return last if last is not None and last in names else ""


def last_ending(record: ServerRecord | None) -> Explanation | None:
    """Say how the last session ended if it did not end as somebody wished."""
    if record is None or record.state is not ServerState.ERROR or record.reason == "cancelled":
        return None
    if record.ready_at is None:
        return Explanation(
            record.reason, "Your last session did not start", record.message, "", 200
        )
    return ending(record.reason, record.message)


def limits(profile: Profile, isolates: bool = True) -> tuple[str, ...]:
    """Return what a card says of the limits; only what is really enforced."""
    said = []
    if isolates:
        said.append(_number(profile.cpus) + (" CPU" if profile.cpus <= 1 else " CPUs"))
        said.append(f"{size(profile.memory_bytes)} memory")
    if profile.max_sessions is not None:
        said.append(f"{profile.max_sessions} at once")
    return tuple(said)


def size(count: int) -> str:
    """Return a number of bytes as people say it, binary: 8 GB is 8 GiB."""
    if count >= GIB:
        return f"{_number(count / GIB)} GB"
    return f"{_number(count / MIB)} MB"


class PageWords:
    """What the hub's templates may call as `blackroad`."""

    def __init__(self, enabled: bool, launch_scope: str) -> None:
        self.enabled = enabled
        self._launch_scope = launch_scope

    def may_launch(self, scopes: object) -> bool:
        """Tell whether the user who looks at the page may start sessions."""
        return isinstance(scopes, set | frozenset | list | tuple) and self._launch_scope in scopes

    def sentence(self, message: str) -> str:
        """Return what one of JupyterHub's own refusals says, without its status line."""
        said = _STATUS_LINE.fullmatch(message)
        return said[1] if said else message

    def explain(self, error: object) -> Explanation | None:
        """Return what people read about a start that failed; None for no exception."""
        return explain(error) if isinstance(error, BaseException) else None

    def refusal(self, error: object) -> Explanation | None:
        """Return the same for a launch that was refused; None for any other error."""
        return explain(error) if isinstance(error, SpawnException) else None


def template_vars(enabled: bool, launch_scope: str) -> dict[str, object]:
    """Return what belongs into `c.JupyterHub.template_vars` for our templates."""
    return {"blackroad": PageWords(enabled, launch_scope)}


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


@cache
def _environment() -> Any:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
