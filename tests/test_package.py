"""What the package promises before anything runs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
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


def imports_of(path: Path) -> set[str]:
    """Return the packages that a module imports anywhere in it, but not for types alone."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
        pending.extend(ast.iter_child_nodes(node))
    return found - {*sys.stdlib_module_names, "blackroad_nb"}


def names_of(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9_-]", line)[0].replace("-", "_").lower() for line in requirements}


OF_THE_HUB = ("hub", "adapters/docker_engine", "adapters/hub_client.py", "cli/up", "cli/hub")
OPTIONAL = {"playwright"}  # only `webpdf` needs it, and says so


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = names_of(project["dependencies"])
    hub = base | names_of(project["optional-dependencies"]["hub"])
    distributions = packages_distributions()
    missing = []
    for path in (ROOT / "blackroad_nb").rglob("*.py"):
        place = path.relative_to(ROOT / "blackroad_nb").as_posix()
        declared = hub if place.startswith(OF_THE_HUB) else base
        for package in imports_of(path) - OPTIONAL:
            known = {
                name.replace("-", "_").lower() for name in distributions.get(package, [package])
            }
            if not known & declared:
                missing.append(f"{place}: {package}")
    assert missing == []


def test_no_module_is_named_for_nothing_in_particular() -> None:
    shunned = {"helper", "helpers", "util", "utils", "common", "misc"}
    names = {path.stem for path in (ROOT / "blackroad_nb").rglob("*.py")}
    assert not names & shunned


def test_the_extension_is_switched_on_by_its_data_file() -> None:
    switch = json.loads((ROOT / "jupyter-config" / "blackroad_nb.json").read_text())
    assert switch == {"ServerApp": {"jpserver_extensions": {"blackroad_nb": True}}}
