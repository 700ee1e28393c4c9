"""What profiles are called on pages; programs go on with their names."""

from __future__ import annotations

from collections.abc import Mapping

from blackroad_nb.errors import LaunchRefused


def profile_titles(file: str) -> Mapping[str, str]:
    """Return the title of each profile by its name, as the file says now.

    Nothing is known while the file has a mistake: the hub says so where it matters, and
    here a name does.

    Args:
        file: the YAML file of profiles; "" stands for the defaults.
    """
    from blackroad_nb.hub.profiles import policy_file

    try:
        policy = policy_file(file).read()
    except LaunchRefused:
        return {}
    return {profile.name: profile.title for profile in policy.profiles}
