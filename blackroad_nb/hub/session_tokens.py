"""A session's token ends with the session, also when the hub was restarted in between."""

from __future__ import annotations

from typing import Any


def revoke_session_tokens(spawner: Any) -> None:
    """Delete the tokens that the hub made for this spawner's server.

    JupyterHub deletes the token it remembers. After a restart it remembers none, and
    after a death its local spawner has forgotten it: the token would stay valid.
    """
    from jupyterhub import orm
    from jupyterhub.utils import url_escape_path, url_path_join

    user = spawner.user
    note = f"Server at {url_path_join(user.base_url, url_escape_path(spawner.name), '/')}"
    for token in user.db.query(orm.APIToken).filter_by(user_id=user.orm_user.id, note=note):
        user.db.delete(token)
    user.db.commit()
