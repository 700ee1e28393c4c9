"""Whether a kernel that is starting found one of its ports taken; Linux tells, others not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

SECONDS = 1.0  # how often a kernel that does not answer is looked after
_LISTENS = "0A"
_EVERY = "0.0.0.0"  # noqa: S104, who listens there has the port of each address


async def ended_without_ports(process: Any, manager: Any) -> bool:
    """Kill a kernel's process once others are seen to have one of its ports; else watch on.

    ipykernel 7 does not always end by itself then: without its port for IOPub it waits
    for ever, for a socket that it forgot to close.

    Args:
        process: what the manager's provisioner started; watched if it is a `Popen`.
        manager: the kernel's manager.

    Returns:
        True once it was killed, False at once where there is nothing to watch.
    """
    if not isinstance(process, Popen) or manager.transport != "tcp":
        return False
    before: frozenset[int] = frozenset()
    while True:
        await asyncio.sleep(SECONDS)  # nearly every kernel answers by then
        # The system takes 5 to 20 ms to write its table, in which a server could answer others.
        lost = await asyncio.to_thread(lost_ports, process.pid, manager.ip, manager.ports)
        if lost & before:  # at one look somebody may just be serving one after another
            process.kill()
            return True
        before = lost


def lost_ports(pid: int, ip: str, ports: Collection[int]) -> frozenset[int]:
    """Return the ports that somebody else listens at, if those are fewer than half.

    More than that means that others serve the process's ports for it, as they do for one
    in a container.

    Args:
        pid: the process; what runs in the same session counts as the same.
        ip: the address it is to listen at.
        ports: the ports it is to listen at.
    """
    try:
        places = {_place(address, port): port for address in (ip, _EVERY) for port in ports}
        listening = list(_listening(pid, places))
        own = set(_sockets(os.getsid(pid))) if listening else set()
    except (OSError, ValueError):  # no such files here, an address of another kind, it ended
        return frozenset()
    served = {port for port, inode in listening if inode in own}
    others = frozenset(port for port, _ in listening) - served
    return others if 2 * len(others) < len(ports) else frozenset()


def _place(ip: str, port: int) -> str:
    """Return an address as the system's table writes it."""
    return f"{int.from_bytes(socket.inet_aton(ip), sys.byteorder):08X}:{port:04X}"


def _listening(pid: int, places: dict[str, int]) -> Iterator[tuple[int, str]]:
    """Yield port and inode of each socket that listens at one of the places."""
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTENS and fields[1] in places:
            yield places[fields[1]], fields[9]


def _sockets(session: int) -> Iterator[str]:
    """Yield the inodes of the sockets that a session's processes have."""
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):  # it ended, or belongs to somebody else
            if not name.isdigit() or os.getsid(int(name)) != session:
                continue
            for descriptor in os.scandir(f"/proc/{name}/fd"):
                with contextlib.suppress(OSError):
                    kind, _, inode = os.readlink(descriptor.path).partition(":[")
                    if kind == "socket":
                        yield inode.rstrip("]")
