"""What somebody asks for when she launches, out of options nobody can trust.

Options come from the form, from a link, from the hub's API and from what the hub
remembered. They name a profile and a template; they carry no image, path or limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from blackroad_nb.core.profile import LaunchPolicy, Profile
from blackroad_nb.errors import InvalidInput

LONGEST = 200  # characters of a name in an option; more is not a name
OPTIONS = ("profile", "template", "original")


@dataclass(frozen=True, slots=True)
class LaunchChoice:
    """A launch that could be understood.

    Attributes:
        template: copied into the workspace and opened; None opens the workspace.
        original: put a fresh original beside a copy that is there already.
    """

    profile: str
    template: str | None = None
    original: bool = False

    def options(self) -> dict[str, object]:
        """Return it as JupyterHub's `user_options`."""
        return {"profile": self.profile, "template": self.template, "original": self.original}


def parse_choice(options: object, policy: LaunchPolicy) -> LaunchChoice:
    """Read options from anywhere; what is missing takes its default.

    A value may be text or a list of one text, as forms and queries send it.

    Raises:
        InvalidInput: an option is unknown, has the wrong type, or names a profile
            that does not exist. Whether a template exists is asked where they lie.
    """
    if options is None:
        options = {}
    if not isinstance(options, dict):
        raise InvalidInput("The launch options must be an object with names and values.")
    for name in options:
        if name not in OPTIONS:
            shown = str(name)[:40]
            raise InvalidInput(f"There is no launch option {shown!r}; there are: {_listed()}.")
    profile = _text(options, "profile") or policy.profiles[0].name
    find_profile(policy, profile)
    return LaunchChoice(profile, _text(options, "template"), _flag(options, "original"))


def find_profile(policy: LaunchPolicy, name: str) -> Profile:
    """Return the profile. Raises InvalidInput when there is none of that name."""
    for profile in policy.profiles:
        if profile.name == name:
            return profile
    known = ", ".join(profile.name for profile in policy.profiles)
    raise InvalidInput(f"There is no profile {name[:40]!r}; choose one of: {known}.")


def _listed() -> str:
    return ", ".join(OPTIONS)


def _single(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _text(options: dict[object, object], name: str) -> str | None:
    value = _single(options.get(name))
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        raise InvalidInput(f"The launch option {name!r} must be a short text of one line.")
    return value


def _flag(options: dict[object, object], name: str) -> bool:
    value = _single(options.get(name))
    if value in (None, "", False, "0", "false"):
        return False
    if value in (True, "1", "true", "on"):
        return True
    raise InvalidInput(f"The launch option {name!r} is either 1 or 0.")
