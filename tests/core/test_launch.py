"""Options that nobody can trust: what is understood, and what is refused."""

from __future__ import annotations

import pytest

from blackroad_nb.core.launch import LONGEST, LaunchChoice, find_profile, parse_choice
from blackroad_nb.core.profile import LaunchPolicy, Profile
from blackroad_nb.errors import InvalidInput

POLICY = LaunchPolicy((Profile("small", "Small"), Profile("large", "Large")))


@pytest.mark.parametrize(
    ("options", "choice"),
    [
        (None, LaunchChoice("small")),
        ({}, LaunchChoice("small")),
        ({"profile": "large"}, LaunchChoice("large")),
        ({"profile": ["large"]}, LaunchChoice("large")),
        ({"profile": ""}, LaunchChoice("small")),
        ({"template": "alpha"}, LaunchChoice("small", "alpha")),
        ({"template": [""]}, LaunchChoice("small")),
        ({"template": None, "original": False}, LaunchChoice("small")),
        ({"template": "alpha", "original": "1"}, LaunchChoice("small", "alpha", True)),
        ({"original": ["on"]}, LaunchChoice("small", None, True)),
        ({"original": "0"}, LaunchChoice("small")),
    ],
)
def test_what_is_understood(options: object, choice: LaunchChoice) -> None:
    assert parse_choice(options, POLICY) == choice


def test_a_choice_survives_being_remembered() -> None:
    choice = LaunchChoice("large", "alpha", True)
    assert parse_choice(choice.options(), POLICY) == choice


HOSTILE: list[object] = [
    {"image": "evil/image"},
    {"mem_limit": "512G"},
    {"cpus": 64},
    {"mounts": [{"source": "/", "target": "/host"}]},
    {"volumes": {"/": "/host"}},
    {"environment": {"LD_PRELOAD": "/tmp/x"}},
    {"cmd": ["sh"]},
    {"__class__": "x"},
    {"Profile": "small"},
    {"profile ": "small"},
    {"profile": "../../etc"},
    {"profile": "nothing"},
    {"profile": 1},
    {"profile": True},
    {"profile": {"name": "small"}},
    {"profile": ["small", "large"]},
    {"profile": [["small"]]},
    {"profile": "small\n"},
    {"profile": "x" * (LONGEST + 1)},
    {"profile": "x" * 10_000_000},
    {"template": 5},
    {"template": "a\0b"},
    {"template": "a\u202eb"},
    {"template": "\ud800"},
    {"template": ["a", "b"]},
    {"template": "t" * (LONGEST + 1)},
    {"original": "perhaps"},
    {"original": 2},
    {"original": {}},
    {1: 2},
    {None: "x"},
    {"x" * 1_000_000: ""},
    [],
    [["profile", "small"]],
    "profile=small",
    b"profile",
    7,
    True,
]


@pytest.mark.parametrize("options", HOSTILE, ids=lambda options: repr(options)[:40])
def test_what_is_refused_in_one_short_sentence(options: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_choice(options, POLICY)
    assert len(caught.value.message) < 300
    assert caught.value.message.isprintable()


def test_an_unknown_profile_is_answered_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"no profile 'huge'; choose one of: small, large\."):
        find_profile(POLICY, "huge")
