"""The folder that keeps a user's work, ready for the user inside a container."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.core.container import USER_ID, WORK, ContainerSpec
from blackroad_nb.core.profile import Mount
from blackroad_nb.errors import SessionFailed


def prepare_work(engine: DockerEngine, spec: ContainerSpec) -> None:
    """Make the session's work folder if it is missing; its owner is the container's user.

    Raises:
        SessionFailed: it cannot be made, or belongs to somebody else.
    """
    folder = next(Path(mount.source) for mount in spec.mounts if mount.target == WORK)
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid == USER_ID:
            return
        if any(folder.iterdir()):
            raise SessionFailed(
                f"The work folder {folder} belongs to another user of this machine; give it to "
                f"the sessions' user with `chown -R {USER_ID}:{USER_ID}`.",
                "work_not_yours",
            )
        if os.geteuid() == 0:
            os.chown(folder, USER_ID, USER_ID)
            return
    except OSError as error:
        raise SessionFailed(
            f"The work folder {folder} cannot be made: {error.strerror}.", "work_unusable"
        ) from None
    _give_away(engine, spec, folder)


def _give_away(engine: DockerEngine, spec: ContainerSpec, folder: Path) -> None:
    """Let a container's root change the owner: whoever may use the engine may do that."""
    code, said = engine.run_once(
        replace(
            spec,
            name=f"{spec.name}-zz-owner",  # no server is called like that
            command=("chown", f"{USER_ID}:{USER_ID}", WORK),
            user="0:0",
            network="none",
            environment={},
            mounts=(Mount(str(folder), WORK, read_only=False),),
            cap_add=("CHOWN", "DAC_OVERRIDE"),
        )
    )
    if code != 0:
        raise SessionFailed(
            f"The work folder {folder} cannot be given to the sessions' user: {said.strip()}",
            "work_unusable",
        )
