"""A kernel that boots while this process still imports what it needs to talk to it.

A kernel takes as long to boot as this program takes to come to its first cell. So for
the plain case (ipykernel, a POSIX system, no provisioner) its process is started with
the standard library alone; `LocalKernelRunner` adopts it when a run wants just that
kernel, in that folder, under that title. Anything else it starts itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import string
import subprocess
import sys
from typing import Any
from uuid import uuid4

from jupyter_core.paths import jupyter_path, jupyter_runtime_dir

NAMES = ("python", "python3")  # what jupyter_client, too, takes for ipykernel
SOCKET_PATH = 100  # bytes; the systems' limits are 104 and 108
PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
_PROVISIONER = "JUPYTER_DEFAULT_PROVISIONER_NAME"  # somebody wants all kernels elsewhere


class EarlyKernel:
    """A kernel's process and what was decided for it.

    No dataclass: importing `dataclasses` takes longer than all else before the start.

    Attributes:
        stderr: our end of the pipe that it writes to.
        settled: somebody has adopted it, or it has been discarded.
    """

    def __init__(
        self,
        kernel: str,
        cwd: str,
        title: str,
        kernel_id: str,
        connection_file: str,
        process: subprocess.Popen[bytes],
        stderr: int,
    ) -> None:
        self.kernel = kernel
        self.cwd = cwd
        self.title = title
        self.kernel_id = kernel_id
        self.connection_file = connection_file
        self.process = process
        self.stderr = stderr
        self.settled = False

    def discard(self) -> None:
        """End the process and remove what it left, unless somebody has adopted it."""
        if self.settled:
            return
        self.settled = True
        self.process.kill()
        self.process.wait()
        os.close(self.stderr)
        base = os.path.splitext(self.connection_file)[0]
        sockets = [f"{base}-ipc-{port}" for port in range(1, len(PORTS) + 1)]
        for path in (self.connection_file, *sockets):
            with contextlib.suppress(OSError):
                os.unlink(path)


def private_sockets(folder: str, kernel_id: str) -> str | None:
    """Return where a kernel's sockets go, or None when the path would be too long."""
    sockets = os.path.join(folder, f"kernel-{kernel_id}-ipc")
    return sockets if len(os.fsencode(sockets)) + 2 < SOCKET_PATH else None


def start_early(kernel: str, cwd: str, title: str) -> EarlyKernel | None:
    """Start a kernel's process; None when this is not the plain case."""
    spec = _plain_spec(kernel)
    kernel_id, folder = str(uuid4()), jupyter_runtime_dir()
    sockets = private_sockets(folder, kernel_id)
    if spec is None or sockets is None:
        return None
    read, write = os.pipe()
    try:
        connection_file = _write_connection(folder, kernel, kernel_id, sockets)
        process = subprocess.Popen(
            _command(spec, connection_file),
            cwd=cwd,
            env=_environment(spec, title),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=write,
            start_new_session=True,
        )
    except BaseException as error:  # Ctrl-C, too, may come here
        os.close(read)
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder, f"kernel-{kernel_id}.json"))
        if isinstance(error, OSError):
            return None  # whoever starts it the long way can say what is wrong
        raise
    finally:
        os.close(write)
    return EarlyKernel(kernel, cwd, title, kernel_id, connection_file, process, read)


def _plain_spec(kernel: str) -> dict[str, Any] | None:
    if os.name != "posix" or kernel not in NAMES or _PROVISIONER in os.environ:
        return None
    for folder in jupyter_path("kernels"):
        place = os.path.join(folder, kernel)
        path = os.path.join(place, "kernel.json")
        if os.path.isfile(path):
            try:
                with open(path, encoding="utf-8") as file:
                    spec = json.load(file)
            except (OSError, ValueError):
                return None
            return {**spec, "resource_dir": place} if _is_plain(spec) else None
    return None


def _is_plain(spec: Any) -> bool:
    return (
        isinstance(spec, dict)
        and isinstance(spec.get("argv"), list)
        and "ipykernel_launcher" in spec["argv"]
        and all(isinstance(word, str) for word in spec["argv"])
        and spec.get("interrupt_mode", "signal") == "signal"
        and "kernel_provisioner" not in (spec.get("metadata") or {})
    )


def _write_connection(folder: str, kernel: str, kernel_id: str, sockets: str) -> str:
    os.makedirs(folder, 0o700, exist_ok=True)
    path = os.path.join(folder, f"kernel-{kernel_id}.json")
    info = {
        **{name: number for number, name in enumerate(PORTS, 1)},
        "ip": sockets,
        "transport": "ipc",
        "key": uuid4().hex,
        "signature_scheme": "hmac-sha256",
        "kernel_name": kernel,
    }
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(info, file)
    return path


def _command(spec: dict[str, Any], connection_file: str) -> list[str]:
    values = {
        "{connection_file}": connection_file,
        "{resource_dir}": spec["resource_dir"],
        "{prefix}": sys.prefix,
    }
    words = [
        os.path.expanduser(re.sub(r"\{\w+\}", lambda found: values.get(found[0], found[0]), word))
        for word in spec["argv"]
    ]
    version = sys.version_info
    if words[0] in ("python", f"python{version[0]}", f"python{version[0]}.{version[1]}"):
        words[0] = sys.executable
    return [*words, "--HistoryManager.hist_file=:memory:"]


def _environment(spec: dict[str, Any], title: str) -> dict[str, str]:
    environment = {**os.environ, "JPY_SESSION_NAME": title, "JPY_PARENT_PID": str(os.getpid())}
    given = spec.get("env") or {}
    for name in given:
        environment[name] = string.Template(str(given[name])).safe_substitute(os.environ)
    environment.pop("PYTHONEXECUTABLE", None)
    return environment
