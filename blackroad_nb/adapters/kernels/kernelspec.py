"""Finding a kernelspec without importing the kernel."""

from __future__ import annotations

import os
from typing import Any
from uuid import uuid4

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_core.paths import jupyter_path

_PROVISIONERS = "JUPYTER_DEFAULT_PROVISIONER_NAME"  # somebody wants all kernels elsewhere


def prepare_plain_kernel(manager: Any) -> bool:
    """Give a kernel manager its kernelspec and provisioner, where both are the plain ones.

    jupyter_client imports IPython to look up `python3`, and reads the metadata of every
    installed package to find provisioners: 30 ms before the kernel starts. A folder with
    a kernel.json that names no provisioner needs neither. Returns False, and has done
    nothing, when it is not that simple; the manager then looks for itself.
    """
    if _PROVISIONERS in os.environ:
        return False
    name = manager.kernel_name
    for folder in jupyter_path("kernels"):
        place = os.path.join(folder, name)
        if os.path.isfile(os.path.join(place, "kernel.json")):
            return _prepare(manager, place)
    return False


def _prepare(manager: Any, place: str) -> bool:
    try:
        spec = KernelSpec.from_resource_dir(place)
    except (OSError, ValueError, TypeError):
        return False  # the manager says what is wrong with it
    if "kernel_provisioner" in spec.metadata or not spec.argv:
        return False
    manager._kernel_spec = spec
    manager.kernel_id = str(uuid4())
    manager.provisioner = LocalProvisioner(
        kernel_id=manager.kernel_id, kernel_spec=spec, parent=manager
    )
    return True
