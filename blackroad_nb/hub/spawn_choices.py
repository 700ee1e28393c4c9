"""What this user may choose from: the profiles and templates of the spawn page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blackroad_nb.adapters.templates import FolderTemplates
from blackroad_nb.core.launch import LaunchChoice, parse_choice
from blackroad_nb.core.policy import why_not
from blackroad_nb.core.profile import LaunchPolicy
from blackroad_nb.core.template import Template, template_of
from blackroad_nb.errors import BlackRoadError, InvalidInput, LaunchRefused
from blackroad_nb.hub.requester import launcher_of

if TYPE_CHECKING:
    from blackroad_nb.hub.spawn_page import SpawnPage

NOBODY = LaunchPolicy(profiles=(), enabled=True)


async def spawn_page(spawner: Any) -> SpawnPage:
    """Gather what the spawn page shows to whoever asks for it now."""
    from blackroad_nb.hub.spawn_page import ProfileCard, SpawnPage

    notice = ""
    try:
        policy = spawner.policy()
    except LaunchRefused as error:
        policy, notice = NOBODY, error.message
    launcher = launcher_of(spawner)
    cards = [ProfileCard(profile, why_not(launcher, profile)) for profile in policy.profiles]
    templates, unread = await list_templates(spawner.templates)
    return SpawnPage(
        cards=cards,
        templates=templates,
        last=_last_choice(spawner.orm_spawner.user_options, policy),
        ended=spawner.launches.last(spawner.user.name, spawner.name),
        isolates=spawner.isolates,
        enabled=policy.enabled,
        notice=notice or unread,
    )


async def list_templates(folders: Sequence[str]) -> tuple[tuple[Template, ...], str]:
    """Return the templates, and a sentence on those that could not be read."""
    source = FolderTemplates([Path(folder) for folder in folders])
    found, broken = [], []
    for name in await source.names():
        try:
            found.append(template_of(name, await source.read(name)))
        except BlackRoadError:
            broken.append(name)
    notice = f"These templates could not be read: {', '.join(broken)}." if broken else ""
    return tuple(found), notice


def check_template(folders: Sequence[str], name: str | None) -> None:
    """Check that a template is one of those on the page.

    Raises:
        InvalidInput: it is not. A name is looked up, so it leads nowhere else.
    """
    if name is None:
        return
    known = {path.stem for folder in folders for path in Path(folder).glob("[!.]*.ipynb")}
    if name not in known:
        raise InvalidInput(f"There is no template {name[:40]!r} on this hub.")


def _last_choice(options: object, policy: LaunchPolicy) -> LaunchChoice | None:
    if not options or not policy.profiles:
        return None
    try:
        return parse_choice(options, policy)
    except InvalidInput:
        return None
