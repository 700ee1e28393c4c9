"""Who may launch what, and how many sessions may run. Every refusal is worded here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from blackroad_nb.core.profile import LaunchPolicy, Profile
from blackroad_nb.core.server import ServerState

SHOWN = 10  # sessions a refusal names; a longer sentence is not read


@dataclass(frozen=True, slots=True)
class Launcher:
    """For whom a session is to start, and who asks.

    Attributes:
        user: whose session it will be.
        groups: the groups of that user.
        may_launch: that user holds LAUNCH_NOTEBOOKS.
        requester: who asks; None is the user herself.
        requester_may: what the request was sent with (a login, a token) allows it.
        may_manage: the requester may see other people's sessions.
    """

    user: str
    groups: frozenset[str] = frozenset()
    may_launch: bool = False
    requester: str | None = None
    requester_may: bool = True
    may_manage: bool = False


@dataclass(frozen=True, slots=True)
class ActiveServer:
    """A session that holds a place.

    Attributes:
        since: when it was asked for.
        active_at: when it was last known to be used; None where nobody knows.
    """

    user: str
    server_name: str
    profile: str
    state: ServerState
    since: datetime
    active_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a session does not start.

    Attributes:
        reason: a short word for programs and metrics.
        message: one or two sentences that say what to do.
        limit: it may start later, once a place is free.
    """

    reason: str
    message: str
    limit: bool = False


def check_launch(
    launcher: Launcher,
    profile: Profile,
    policy: LaunchPolicy,
    active: Sequence[ActiveServer],
    now: datetime,
) -> Refusal | None:
    """Decide whether this session may start now.

    Args:
        active: every session of the hub that holds a place at this moment.

    Returns:
        The first thing that speaks against it; None when nothing does.
    """
    return (
        _check_switch(policy)
        or _check_permission(launcher)
        or _check_profile(launcher, profile)
        or _check_limits(launcher, profile, policy, active, now)
    )


def why_not(launcher: Launcher, profile: Profile) -> str | None:
    """Return the sentence that says why a profile is not for somebody; None if it is."""
    if not profile.groups and not profile.users:
        return None
    if launcher.user in profile.users or launcher.groups & profile.groups:
        return None
    if profile.groups:
        kind = "the group" if len(profile.groups) == 1 else "the groups"
        return f"It is for {kind} {_listed(sorted(profile.groups))}; ask an administrator to join."
    return "It is for certain users; ask an administrator to be added."


def best_first(launcher: Launcher, policy: LaunchPolicy) -> LaunchPolicy:
    """Return the policy with this user's profiles first, for whoever names none."""
    ordered = sorted(policy.profiles, key=lambda profile: why_not(launcher, profile) is not None)
    return replace(policy, profiles=tuple(ordered))


def _check_switch(policy: LaunchPolicy) -> Refusal | None:
    if policy.enabled:
        return None
    return Refusal(
        "switched_off",
        "Starting sessions is switched off on this hub; those that run keep running and can "
        "be stopped.",
    )


def _check_permission(launcher: Launcher) -> Refusal | None:
    if launcher.requester is not None and not launcher.requester_may:
        return Refusal(
            "token_not_permitted",
            f"Starting a session for {_name(launcher.user)} needs the permission "
            "MANAGE_NOTEBOOKS, which this request does not carry.",
        )
    if not launcher.may_launch and launcher.requester is not None:
        return Refusal(
            "user_not_permitted",
            f"{_name(launcher.user)} does not hold the permission LAUNCH_NOTEBOOKS.",
        )
    if not launcher.may_launch:
        return Refusal(
            "not_permitted",
            "Starting a session needs the permission LAUNCH_NOTEBOOKS, which you do not hold.",
        )
    if not launcher.requester_may:
        return Refusal(
            "token_not_permitted",
            "You may start sessions, but the token of this request lacks the scope "
            "custom:blackroad:launch.",
        )
    return None


def _check_profile(launcher: Launcher, profile: Profile) -> Refusal | None:
    against = why_not(launcher, profile)
    if against is None:
        return None
    message = f"The profile {profile.title!r} cannot be used here. {against}"
    return Refusal("profile_not_yours", message)


def _check_limits(
    launcher: Launcher,
    profile: Profile,
    policy: LaunchPolicy,
    active: Sequence[ActiveServer],
    now: datetime,
) -> Refusal | None:
    own = [server for server in active if server.user == launcher.user]
    alike = [server for server in active if server.profile == profile.name]
    limits = (
        ("limit_per_user", own, policy.max_sessions_per_user, "for one user"),
        ("limit_per_profile", alike, profile.max_sessions, f"of the profile {profile.title!r}"),
        ("limit_per_hub", active, policy.max_sessions, "on this hub"),
    )
    for reason, holders, limit, where in limits:
        if limit is not None and len(holders) >= limit:
            return Refusal(reason, _full(launcher, holders, limit, where, now), limit=True)
    return None


def _full(
    launcher: Launcher,
    holders: Sequence[ActiveServer],
    limit: int,
    where: str,
    now: datetime,
) -> str:
    if not holders:  # a limit of nought
        return f"No session may run {where} at the moment."
    ordered = sorted(holders, key=lambda server: server.since)
    named = [_holder(launcher, server, now) for server in ordered[:SHOWN]]
    if len(ordered) > SHOWN:
        named.append(f"{len(ordered) - SHOWN} more")
    sessions = "session runs" if limit == 1 else "sessions run"
    return (
        f"At most {limit} {sessions} at once {where}: {_listed(named)}. "
        f"{_when_free(launcher, ordered)}"
    )


def _holder(launcher: Launcher, server: ActiveServer, now: datetime) -> str:
    if server.user == launcher.user and launcher.requester is None:
        owner = "yours"
    elif launcher.may_manage or server.user == launcher.user:
        owner = f"one of {_name(server.user)}"
    else:
        owner = "another user's"
    name = f" named {server.server_name!r}" if server.server_name and "another" not in owner else ""
    since = f"since {_clock(server.since, now)}"
    if server.state is ServerState.STOPPING:
        return f"{owner}{name}, being stopped"
    if server.state is ServerState.STARTING:
        return f"{owner}{name}, starting {since}"
    idle = now - server.active_at if server.active_at else timedelta(0)
    unused = f", not used for {_span(idle)}" if idle >= timedelta(minutes=1) else ""
    return f"{owner}{name} {since}{unused}"


def _when_free(launcher: Launcher, holders: Sequence[ActiveServer]) -> str:
    if any(server.state is ServerState.STOPPING for server in holders):
        return "One is being stopped: try again in a moment."
    if launcher.may_manage:
        return "A place is free as soon as one of them is stopped."
    if any(server.user == launcher.user for server in holders):
        return "Stop one of yours, and its place is free at once."
    return "A place is free as soon as its user or an administrator stops one."


def _clock(at: datetime, now: datetime) -> str:
    form = "%H:%M UTC" if at.date() == now.date() else "%Y-%m-%d %H:%M UTC"
    return at.strftime(form)


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _name(user: str) -> str:
    """Return a user's name for a sentence, whatever characters are in it."""
    return user if user.isprintable() and len(user) <= 60 else ascii(user)[:60]
