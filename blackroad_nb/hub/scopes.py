"""The two permissions of the launcher as JupyterHub scopes, and the roles that hold them.

LAUNCH_NOTEBOOKS is `custom:blackroad:launch`, MANAGE_NOTEBOOKS `custom:blackroad:manage`.
JupyterHub's built-in role `admin` is frozen and holds no custom scope, so administrators
get a second role.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LAUNCH = "custom:blackroad:launch"
MANAGE = "custom:blackroad:manage"

SCOPES: dict[str, dict[str, Any]] = {
    LAUNCH: {"description": "Start notebook sessions."},
    MANAGE: {
        "description": "See and stop everybody's notebook sessions, and start them for others.",
        "subscopes": [LAUNCH],
    },
}

RESEARCHERS = "researchers"
ADMINS = "admins"

# JupyterHub's `self` without `start:servers`. What runs may still be seen, used and stopped
# by somebody whose permission to start was taken away.
USER_SCOPES = (
    "access:servers!user",
    "access:services!service=blackroad",
    "delete:servers!user",
    "read:servers!user",
    "read:shares!user",
    "read:users!user",
    "tokens!user",
    "users:activity!user",
    "users:shares!user",
)


def define() -> None:
    """Make the scopes known to this process; `needs_scope` and role checks need it."""
    from jupyterhub.scopes import define_custom_scopes

    define_custom_scopes(SCOPES)


def roles(admins: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return `c.JupyterHub.load_roles`.

    Args:
        admins: users that hold MANAGE_NOTEBOOKS beside the members of the group `admins`.
    """
    return [
        {
            "name": "user",
            "description": "A user without the permission to start sessions",
            "scopes": list(USER_SCOPES),
        },
        {
            "name": "researcher",
            "description": "LAUNCH_NOTEBOOKS: starts own sessions",
            "scopes": [LAUNCH, "servers!user"],
            "groups": [RESEARCHERS],
        },
        {
            "name": "blackroad-admin",
            "description": "MANAGE_NOTEBOOKS: sees, starts and stops everybody's sessions",
            "scopes": [MANAGE, "admin-ui", "list:users", "read:users", "servers"],
            "groups": [ADMINS],
            "users": list(admins),
        },
    ]
