"""Who may launch what, and what a refusal says, as tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from blackroad_nb.core.policy import (
    ActiveServer,
    Launcher,
    Refusal,
    best_first,
    check_launch,
    why_not,
)
from blackroad_nb.core.profile import LaunchPolicy, Profile
from blackroad_nb.core.server import ServerState

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SMALL = Profile("small", "Small")
QUANT = Profile("large", "Large", groups=frozenset({"quant"}), users=frozenset({"eve"}))
LIMITED = replace(SMALL, max_sessions=1)
POLICY = LaunchPolicy((SMALL, QUANT), max_sessions=3, max_sessions_per_user=2)
ADA = Launcher("ada", frozenset({"researchers"}), may_launch=True)
ROOT = replace(ADA, requester="root", may_manage=True)


def active(
    user: str = "bob",
    name: str = "",
    *,
    profile: str = "small",
    state: ServerState = ServerState.RUNNING,
    minutes: float = 60,
    idle: float | None = None,
) -> ActiveServer:
    used = None if idle is None else NOW - timedelta(minutes=idle)
    return ActiveServer(user, name, profile, state, NOW - timedelta(minutes=minutes), used)


def check(
    launcher: Launcher = ADA,
    profile: Profile = SMALL,
    policy: LaunchPolicy = POLICY,
    *held: ActiveServer,
) -> Refusal | None:
    return check_launch(launcher, profile, policy, held, NOW)


def test_a_researcher_may_start_while_places_are_free() -> None:
    assert check() is None
    assert check(ADA, SMALL, POLICY, active(), active("ada")) is None


@pytest.mark.parametrize(
    ("launcher", "profile", "policy", "reason"),
    [
        (ADA, SMALL, replace(POLICY, enabled=False), "switched_off"),
        (ROOT, SMALL, replace(POLICY, enabled=False), "switched_off"),
        (replace(ADA, may_launch=False), SMALL, POLICY, "not_permitted"),
        (replace(ADA, requester_may=False), SMALL, POLICY, "token_not_permitted"),
        (replace(ROOT, requester_may=False), SMALL, POLICY, "token_not_permitted"),
        (replace(ROOT, may_launch=False), SMALL, POLICY, "user_not_permitted"),
        (ADA, QUANT, POLICY, "profile_not_yours"),
        # who may manage may not give somebody a profile that is not hers
        (ROOT, QUANT, POLICY, "profile_not_yours"),
    ],
)
def test_what_speaks_against_a_launch(
    launcher: Launcher, profile: Profile, policy: LaunchPolicy, reason: str
) -> None:
    refusal = check(launcher, profile, policy)
    assert refusal is not None
    assert (refusal.reason, refusal.limit) == (reason, False)


def test_rights_are_judged_before_places() -> None:
    """Whoever may not start at all learns nothing of who runs what."""
    refusal = check(replace(ADA, may_launch=False), SMALL, POLICY, *[active("bob")] * 3)
    assert refusal is not None
    assert refusal.reason == "not_permitted"
    assert "bob" not in refusal.message


@pytest.mark.parametrize(
    ("user", "groups", "profile", "open_to"),
    [
        ("ada", set(), SMALL, True),
        ("ada", {"researchers"}, QUANT, False),
        ("ada", {"quant"}, QUANT, True),
        ("eve", set(), QUANT, True),
        ("eve", set(), replace(QUANT, users=frozenset()), False),
        ("quant", set(), QUANT, False),  # a user called like the group
    ],
)
def test_a_profile_is_for_its_groups_and_users(
    user: str, groups: set[str], profile: Profile, open_to: bool
) -> None:
    assert (why_not(Launcher(user, frozenset(groups)), profile) is None) is open_to


def test_whoever_names_no_profile_gets_the_first_of_her_own() -> None:
    policy = replace(POLICY, profiles=(QUANT, SMALL, LIMITED))
    assert best_first(ADA, policy) == replace(POLICY, profiles=(SMALL, LIMITED, QUANT))
    assert best_first(replace(ADA, user="eve"), policy) == policy


@pytest.mark.parametrize(
    ("profile", "sentence"),
    [
        (QUANT, "It is for the group quant; ask an administrator to join."),
        (
            replace(QUANT, groups=frozenset({"b", "a"})),
            "It is for the groups a and b; ask an administrator to join.",
        ),
        (
            replace(QUANT, groups=frozenset()),
            "It is for certain users; ask an administrator to be added.",
        ),
    ],
)
def test_a_card_says_whom_a_profile_is_for(profile: Profile, sentence: str) -> None:
    """Other users are not named; groups are what one can ask to join."""
    assert why_not(ADA, profile) == sentence


@pytest.mark.parametrize(
    ("profile", "policy", "held", "reason"),
    [
        (SMALL, POLICY, [active(), active(), active("eve")], "limit_per_hub"),
        (SMALL, POLICY, [active("ada"), active("ada", "two")], "limit_per_user"),
        (LIMITED, POLICY, [active()], "limit_per_profile"),
        (SMALL, replace(POLICY, max_sessions=0), [], "limit_per_hub"),
        (SMALL, replace(POLICY, max_sessions_per_user=0), [], "limit_per_user"),
        (replace(SMALL, max_sessions=0), POLICY, [], "limit_per_profile"),
        # starting and stopping hold a place too
        (LIMITED, POLICY, [active(state=ServerState.STARTING)], "limit_per_profile"),
        (LIMITED, POLICY, [active(state=ServerState.STOPPING)], "limit_per_profile"),
    ],
)
def test_limits(
    profile: Profile, policy: LaunchPolicy, held: list[ActiveServer], reason: str
) -> None:
    refusal = check(ADA, profile, policy, *held)
    assert refusal is not None
    assert (refusal.reason, refusal.limit) == (reason, True)


def test_a_limit_of_one_profile_leaves_the_others_alone() -> None:
    assert check(ADA, LIMITED, POLICY, active(profile="large")) is None


@pytest.mark.parametrize(
    ("launcher", "held", "message"),
    [
        (
            ADA,
            [active("bob", minutes=20), active("ada", minutes=90, idle=75), active("eve", "x")],
            "At most 3 sessions run at once on this hub: yours since 08:00 UTC, not used for "
            "1 h 15 min, another user's since 08:30 UTC and another user's since 09:10 UTC. "
            "Stop one of yours, and its place is free at once.",
        ),
        (
            ADA,
            [active(minutes=60 * 25, idle=60 * 25), active(idle=0.5), active("eve")],
            "At most 3 sessions run at once on this hub: another user's since 2026-11-20 "
            "08:30 UTC, not used for 1 d 1 h, another user's since 08:30 UTC and another "
            "user's since 08:30 UTC. A place is free as soon as its user or an administrator "
            "stops one.",
        ),
        (
            replace(ADA, may_manage=True),
            [active("bob", "big"), active("eve"), active("bo\nb")],
            "At most 3 sessions run at once on this hub: one of bob named 'big' since 08:30 "
            "UTC, one of eve since 08:30 UTC and one of 'bo\\nb' since 08:30 UTC. A place is "
            "free as soon as one of them is stopped.",
        ),
        (
            ADA,
            [
                active(state=ServerState.STOPPING),
                active("eve", minutes=1, state=ServerState.STARTING),
                active("eve"),
            ],
            "At most 3 sessions run at once on this hub: another user's, being stopped, another "
            "user's since 08:30 UTC and another user's, starting since 09:29 UTC. One is being "
            "stopped: try again in a moment.",
        ),
    ],
)
def test_a_full_hub_says_what_holds_its_places(
    launcher: Launcher, held: list[ActiveServer], message: str
) -> None:
    refusal = check(launcher, SMALL, POLICY, *held)
    assert refusal is not None
    assert refusal.message == message


def test_a_user_at_her_own_limit_reads_it_of_herself() -> None:
    held = (active("ada"), active("ada", "two", minutes=5))
    refusal = check(ADA, SMALL, POLICY, *held)
    assert refusal is not None
    assert refusal.message == (
        "At most 2 sessions run at once for one user: yours since 08:30 UTC and yours "
        "named 'two' since 09:25 UTC. Stop one of yours, and its place is free at once."
    )
    other = check(ROOT, SMALL, POLICY, *held)
    assert other is not None
    assert "for one user: one of ada since 08:30 UTC and one of ada named 'two'" in other.message


def test_a_long_list_is_cut() -> None:
    held = [active(f"user{number}") for number in range(40)]
    refusal = check(ADA, SMALL, replace(POLICY, max_sessions=40), *held)
    assert refusal is not None
    assert refusal.message.count("another user's") == 10
    assert "and 30 more" in refusal.message
