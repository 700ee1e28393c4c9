"""What this user may choose from: the profiles and templates of the spawn page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blackroad_nb.core.launch import LaunchChoice, parse_choice
from blackroad_nb.core.policy import why_not
from blackroad_nb.core.profile import LaunchPolicy
from blackroad_nb.errors import InvalidInput, LaunchRefused
from blackroad_nb.hub.requester import launcher_of
from blackroad_nb.hub.template_list import list_templates

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
    known = spawner.user.orm_user.orm_spawners  # under every name she ever started
    return SpawnPage(
        cards=cards,
        templates=templates,
        last=_last_choice(spawner.orm_spawner.user_options, policy),
        ended=spawner.launches.last(spawner.user.name, spawner.name),
        isolates=spawner.isolates,
        enabled=policy.enabled,
        notice=notice or unread,
        first_visit=not any(each.user_options for each in known.values()),
    )


def _last_choice(options: object, policy: LaunchPolicy) -> LaunchChoice | None:
    if not options or not policy.profiles:
        return None
    try:
        return parse_choice(options, policy)
    except InvalidInput:
        return None
