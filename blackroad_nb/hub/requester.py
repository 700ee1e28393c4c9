"""Who asks for a session, and with which rights: read from JupyterHub, judged in the core."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from blackroad_nb.core.policy import Launcher
from blackroad_nb.hub.scopes import LAUNCH, MANAGE, define

define()  # before any role or token that names them is looked at


def launcher_of(spawner: Any) -> Launcher:
    """Return for whom this spawner starts and who asks, as of this moment.

    Rights are read anew each time, so that taking them away works at the next launch.
    A request's rights are those of its token, which may be fewer than its owner's.
    """
    from jupyterhub.scopes import get_scopes_for

    user = spawner.user
    groups = frozenset(group.name for group in user.groups)
    may_launch = _holds(LAUNCH, get_scopes_for(user), user)
    handler = spawner.handler
    requester = handler.current_user if handler is not None else None
    if requester is None:
        return Launcher(user.name, groups, may_launch)
    scopes = handler.expanded_scopes
    may_manage = _holds(MANAGE, scopes, user)
    if _is_user(requester, user):
        may = _holds(LAUNCH, scopes, user)
        return Launcher(user.name, groups, may_launch, None, may, may_manage)
    return Launcher(user.name, groups, may_launch, str(requester.name), may_manage, may_manage)


def used_servers(user: Any) -> dict[tuple[str, str], datetime]:
    """Return when each server that runs was last used, as far as the hub knows."""
    from jupyterhub import orm

    rows = user.db.query(orm.User.name, orm.Spawner.name, orm.Spawner.last_activity).join(
        orm.Spawner.user
    )
    running = rows.filter(orm.Spawner.server_id.isnot(None))
    return {(owner, name): at.replace(tzinfo=UTC) for owner, name, at in running if at is not None}


def _holds(scope: str, scopes: Any, user: Any) -> bool:
    from jupyterhub.scopes import has_scope

    # With the filter, a right over everybody counts, and one over this user does.
    return bool(has_scope(f"{scope}!user={user.name}", scopes, db=user.db))


def _is_user(requester: Any, user: Any) -> bool:
    from jupyterhub import orm
    from jupyterhub.user import User

    # A service may be called like a user; it is not that user.
    same_kind = isinstance(requester, User | orm.User)
    return same_kind and requester.name == user.name
