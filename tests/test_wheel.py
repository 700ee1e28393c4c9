"""A wheel in an empty environment brings the extension up by itself."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the tracked files, as a release would be."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    return next(target.glob("*.whl"))


def test_the_wheel_carries_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(
        name.endswith("etc/jupyter/jupyter_server_config.d/blackroad_nb.json") for name in names
    )
    assert "blackroad_nb/py.typed" in names
    assert any(name.endswith("migrations/0001_first.sql") for name in names)
    assert any(name.endswith("labconfig/default_setting_overrides.json") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "docs/"))]


@pytest.mark.timeout(600)
def test_an_empty_environment_comes_up_with_the_extension(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    programs = tmp_path / "env" / "bin"

    def run(*command: str) -> str:
        done = subprocess.run(
            [str(programs / command[0]), *command[1:]],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("pip", "install", "--quiet", str(wheel))
    listed = re.sub(r"\x1b\[[0-9;]*m", "", run("jupyter", "server", "extension", "list"))
    assert "blackroad_nb enabled" in listed
    assert re.search(r"blackroad_nb \S+ OK", listed)
    assert run("blackroad-nb", "list").strip() == "[]"
    assert run("jupyter", "blackroad", "list").strip() == "[]"
