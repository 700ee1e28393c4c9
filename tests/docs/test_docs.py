"""The docs are true: their commands run, their links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
SESSION = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def commands(page: Path) -> str:
    """Return the `$ ` lines of a page's console sessions as one shell script.

    Lines that follow a command and start with `> ` continue it; others are output.
    """
    lines = "\n".join(SESSION.findall(page.read_text())).splitlines()
    return "\n".join(line[2:] for line in lines if line.startswith(("$ ", "> ")))


def identity(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=identity)
def test_the_commands_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    (tmp_path / "templates").symlink_to(ROOT / "templates")  # the README's are run in a clone
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
        "NOTEBOOK_DB": str(tmp_path / "notebooks.db"),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands(page)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing
