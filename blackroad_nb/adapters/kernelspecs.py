"""The kernelspec folders that Jupyter reads, and how ours get into them.

Source: https://jupyter-client.readthedocs.io/en/stable/kernels.html#kernel-specs
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blackroad_nb.core.kernel import NAME, KernelInfo, RegisteredKernel
from blackroad_nb.errors import Conflict, InvalidInput, KernelExists, KernelNotFound

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpecManager

MARK = "blackroad_nb"  # in a kernelspec's metadata: the folder is ours
NATIVE = "python3"  # ipykernel's own, which needs no folder


class JupyterKernelspecs:
    """`Kernelspecs` on disk; ours go into the user's folder, where every Jupyter finds them."""

    async def list(self) -> tuple[KernelInfo, ...]:
        """Return each kernel that Jupyter can start; a broken kernelspec is left out."""
        return await asyncio.to_thread(_list)

    async def install(self, kernel: RegisteredKernel, env: Mapping[str, str]) -> None:
        """Write a kernelspec folder, whole or not at all.

        Raises:
            KernelExists: Jupyter knows the name, in whatever case and from wherever.
            InvalidInput: the program cannot be run, or the folder cannot be written.
        """
        await asyncio.to_thread(_install, kernel, dict(env))

    async def remove(self, name: str) -> None:
        """Remove a kernelspec folder of ours.

        Raises:
            KernelNotFound: there is none of this name.
            Conflict: it was installed by somebody else.
            InvalidInput: the folder cannot be removed.
        """
        await asyncio.to_thread(_remove, name)

    async def remove_broken(self, name: str) -> None:
        """Remove what is left of a kernelspec of ours that Jupyter cannot read any more.

        The folder is where `install` puts them; one whose kernel.json says that somebody
        else wrote it is left alone, and none at all is no error.

        Raises:
            InvalidInput: the folder cannot be removed.
        """
        await asyncio.to_thread(_remove_broken, name)


def _list() -> tuple[KernelInfo, ...]:
    from jupyter_client.kernelspec import KernelSpecManager

    manager = KernelSpecManager()
    folders = dict(_folders(manager.kernel_dirs))
    found = (_info(manager, name) for name in sorted({*folders, NATIVE}))
    return tuple(info for info in found if info is not None)


def _info(manager: KernelSpecManager, name: str) -> KernelInfo | None:
    try:
        spec = manager.get_kernel_spec(name)
    except Exception:  # somebody's broken folder fails in many ways, and is no kernel
        return None
    if not all(isinstance(word, str) for word in spec.argv):
        return None
    return KernelInfo(
        name=name,
        language=spec.language,
        display_name=spec.display_name or name,
        argv=tuple(spec.argv),
        registered=MARK in spec.metadata,
    )


def _folders(places: list[str]) -> Iterator[tuple[str, Path]]:
    """Yield name and folder of all kernelspecs; the last of a name is the one that counts.

    jupyter_client's own list warns aloud of every folder with an odd name.
    """
    for place in reversed(places):
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if NAME.fullmatch(entry.name) and os.path.isfile(os.path.join(entry, "kernel.json")):
                yield entry.name.lower(), Path(entry)


def _find(name: str) -> Path | None:
    from jupyter_client.kernelspec import KernelSpecManager

    return dict(_folders(KernelSpecManager().kernel_dirs)).get(name.lower())


def _install(kernel: RegisteredKernel, env: dict[str, str]) -> None:
    _check_program(kernel.argv[0], env)
    if kernel.name.lower() == NATIVE or _find(kernel.name):
        raise _exists(kernel.name)
    target = _place(kernel.name)
    data = target.parent.parent
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside `kernels`, not in it: Jupyter would list a half-written folder.
        with tempfile.TemporaryDirectory(prefix="kernelspec-", dir=data) as temporary:
            folder = Path(temporary) / kernel.name.lower()
            folder.mkdir(mode=0o755)
            _write(folder / "kernel.json", _content(kernel, env))
            _move(folder, target, kernel.name)
    except OSError as error:
        raise InvalidInput(
            f"The kernelspec cannot be written to {str(target)!r}: {error.strerror}."
        ) from None


def _place(name: str) -> Path:
    """Return the folder of a kernelspec of ours."""
    from jupyter_core.paths import jupyter_data_dir

    return Path(jupyter_data_dir()) / "kernels" / name.lower()


def _move(folder: Path, target: Path, name: str) -> None:
    try:
        os.rename(folder, target)
    except OSError:
        if target.exists():  # a folder with something in it, or a file
            raise _exists(name) from None
        raise


def _check_program(program: str, env: Mapping[str, str]) -> None:
    """Refuse a program that is not there now, before it becomes a kernel that never starts."""
    path = env.get("PATH", os.environ.get("PATH"))
    if os.path.dirname(program) and not os.path.isabs(program):
        raise InvalidInput(
            f"The program {program!r} depends on the current folder; give its absolute path."
        )
    if shutil.which(program, path=path) is None:
        where = "is not on the PATH" if not os.path.isabs(program) else "is not a program"
        raise InvalidInput(
            f"{program!r} {where}, so the kernel could not start; "
            "give the absolute path of an executable file."
        )


def _content(kernel: RegisteredKernel, env: dict[str, str]) -> bytes:
    spec = {
        "argv": list(kernel.argv),
        "display_name": kernel.display_name,
        "env": env,
        "language": kernel.language,
        "metadata": {
            MARK: {"id": kernel.id, "registered_at": kernel.created_at.isoformat()},
        },
    }
    return json.dumps(spec, indent=1).encode() + b"\n"


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _remove(name: str) -> None:
    folder = _find(name)
    if folder is None:
        if name.lower() == NATIVE:
            raise _not_ours(name)
        raise KernelNotFound(f"There is no kernelspec named {name!r} here.")
    if MARK not in (_metadata(folder) or {}):
        raise _not_ours(name)
    _take_away(folder)


def _remove_broken(name: str) -> None:
    folder = _place(name)
    metadata = _metadata(folder)
    if os.path.lexists(folder) and (metadata is None or MARK in metadata):
        _take_away(folder)


def _take_away(folder: Path) -> None:
    from jupyter_core.paths import jupyter_data_dir

    try:
        if folder.is_symlink():
            folder.unlink()
            return
        # One rename takes it out of Jupyter's sight; what is deleted then is nobody's kernel.
        with tempfile.TemporaryDirectory(prefix="kernelspec-", dir=jupyter_data_dir()) as away:
            os.rename(folder, Path(away) / folder.name)
    except OSError as error:
        raise InvalidInput(
            f"The kernelspec {str(folder)!r} cannot be removed: {error.strerror}."
        ) from None


def _metadata(folder: Path) -> Mapping[str, Any] | None:
    """Return a kernelspec's metadata; None when its kernel.json is gone or no JSON."""
    try:
        spec = json.loads((folder / "kernel.json").read_bytes())
    except (OSError, ValueError):
        return None
    metadata = spec.get("metadata") if isinstance(spec, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _exists(name: str) -> KernelExists:
    return KernelExists(
        f"A kernel named {name!r} exists already; choose another name, or unregister it first."
    )


def _not_ours(name: str) -> Conflict:
    return Conflict(
        f"The kernel {name!r} was not registered here and is left alone; "
        "`jupyter kernelspec remove` removes it."
    )
