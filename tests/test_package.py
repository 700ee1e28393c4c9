"""What the package promises before anything runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def imported_by(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter holds after `statement`."""
    code = (
        f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_name_imports_nothing_else() -> None:
    assert imported_by("import blackroad_nb") == {"blackroad_nb"}


def test_what_it_offers_is_found_by_name() -> None:
    import blackroad_nb

    for name in blackroad_nb.__all__:
        assert getattr(blackroad_nb, name)
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = blackroad_nb.nothing


def test_no_module_is_named_for_nothing_in_particular() -> None:
    shunned = {"helper", "helpers", "util", "utils", "common", "misc"}
    names = {path.stem for path in (ROOT / "blackroad_nb").rglob("*.py")}
    assert not names & shunned


def test_the_extension_is_switched_on_by_its_data_file() -> None:
    switch = json.loads((ROOT / "jupyter-config" / "blackroad_nb.json").read_text())
    assert switch == {"ServerApp": {"jpserver_extensions": {"blackroad_nb": True}}}
