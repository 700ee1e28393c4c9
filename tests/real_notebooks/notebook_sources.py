"""Notebooks of other projects, from the sdists of their packages; none is committed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

# To take a newer version, change its line; the list of differences names no versions.
PACKAGES = {
    "nbclient": "0.11.0",
    "nbconvert": "7.17.2",
    "nbformat": "5.11.1",
    "nbmake": "1.5.5",
    "nbval": "0.11.0",
    "papermill": "2.7.0",
}
KERNEL = "python3"


def unpacked(package: str, cache: Path) -> Path:
    """Return the folder of a package's sdist; it is downloaded the first time."""
    name = f"{package}-{PACKAGES[package]}"
    archive = cache / f"{name}.tar.gz"
    if not archive.exists():
        options = ["--no-deps", "--no-binary", ":all:", "--quiet", "--dest", str(cache)]
        wanted = f"{package}=={PACKAGES[package]}"
        subprocess.run([sys.executable, "-m", "pip", "download", *options, wanted], check=True)
    if not (cache / name).exists():
        with tarfile.open(archive) as opened:
            opened.extractall(cache, filter="data")
    return cache / name


def notebooks(folder: Path) -> list[Path]:
    """Return the notebooks below a folder, relative to it."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*.ipynb") if path.is_file())


def copied(notebook: Path, folder: Path) -> Path:
    """Copy a notebook with all that lies beside it, and let it ask for a kernel that is here."""
    shutil.copytree(notebook.parent, folder)
    copy = folder / notebook.name
    content = json.loads(copy.read_bytes())
    metadata = content.get("metadata")
    if isinstance(metadata, dict) and "name" in metadata.get("kernelspec", {}):
        metadata["kernelspec"]["name"] = KERNEL
        copy.write_text(json.dumps(content))
    return copy
