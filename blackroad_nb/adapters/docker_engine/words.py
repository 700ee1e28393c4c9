"""Our container in the engine's words, and the engine's answer in ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from blackroad_nb.core.container import Container, ContainerSpec


def container_config(spec: ContainerSpec, flat: bool = False) -> dict[str, Any]:
    """Return the specification in the engine's own words (POST /containers/create).

    Args:
        flat: a read-only mount brings nothing along that is mounted below its source.
    """
    return {
        "Image": spec.image,
        "Cmd": list(spec.command),
        "User": spec.user,
        "WorkingDir": spec.working_dir,
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "Labels": dict(spec.labels),
        "StopTimeout": spec.stop_seconds,
        "HostConfig": {
            "NetworkMode": spec.network,
            "NanoCpus": spec.nano_cpus,
            "Memory": spec.memory_bytes,
            "MemorySwap": spec.memory_swap_bytes,
            "PidsLimit": spec.pids,
            "CapDrop": list(spec.cap_drop),
            "CapAdd": list(spec.cap_add),
            "SecurityOpt": list(spec.security_opt),
            # A `Mount` with a missing source is refused; a `Bind` would create it as root.
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": mount.source,
                    "Target": mount.target,
                    "ReadOnly": mount.read_only,
                    **({"BindOptions": {"NonRecursive": True}} if flat and mount.read_only else {}),
                }
                for mount in spec.mounts
            ],
            # Removed by us, once the exit code and the reason have been read.
            "AutoRemove": False,
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {
                "Type": "json-file",
                "Config": {"max-size": str(spec.log_bytes), "max-file": "1"},
            },
        },
    }


def inspected(answer: Mapping[str, Any]) -> Container:
    state, config = answer["State"], answer["Config"]
    running = state["Status"] in ("created", "running", "paused", "restarting")
    networks = answer["NetworkSettings"].get("Networks") or {}
    return Container(
        id=answer["Id"],
        name=answer["Name"].lstrip("/"),
        state=state["Status"],
        labels=dict(config.get("Labels") or {}),
        created_at=_time(answer["Created"]),
        exit_code=None if running else int(state["ExitCode"]),
        out_of_memory=bool(state.get("OOMKilled")),
        error=str(state.get("Error") or ""),
        addresses={
            name: network["IPAddress"] for name, network in networks.items() if network["IPAddress"]
        },
    )


def listed(row: Mapping[str, Any]) -> Container:
    return Container(
        id=row["Id"],
        name=row["Names"][0].lstrip("/") if row.get("Names") else "",
        state=row["State"],
        labels=dict(row.get("Labels") or {}),
        created_at=datetime.fromtimestamp(row["Created"], UTC),
    )


def _time(text: str) -> datetime:
    """Read an engine's time, which has nine digits after the second."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text))


def mount_points(mountinfo: str) -> tuple[str, ...]:
    """Return where file systems are mounted, from the text of /proc/self/mountinfo."""
    points = (line.split(" ")[4] for line in mountinfo.splitlines())
    octal = re.compile(r"\\([0-7]{3})")  # how the kernel writes a space in a path
    return tuple(octal.sub(lambda found: chr(int(found[1], 8)), point) for point in points)
