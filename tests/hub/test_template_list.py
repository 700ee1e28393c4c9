"""The operator's folders of templates, with everything that can lie in a folder."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from blackroad_nb.adapters.templates import CHECKOUT
from blackroad_nb.errors import InvalidInput
from blackroad_nb.hub.spawn_page import ProfileCard, SpawnPage, render_form
from blackroad_nb.hub.template_list import check_template, list_templates

WELCOME: dict[str, Any] = json.loads((CHECKOUT / "welcome.ipynb").read_text())


def write(folder: Path, name: str, title: str = "A title", padding: int = 0) -> Path:
    path = folder / f"{name}.ipynb"
    document = {**WELCOME, "metadata": {"blackroad": {"title": title}, "padding": "x" * padding}}
    path.write_text(json.dumps(document))
    return path


def listed(*folders: Path) -> tuple[dict[str, str], str]:
    found, notice = asyncio.run(list_templates([str(folder) for folder in folders]))
    return {template.name: template.title for template in found}, notice


def test_an_earlier_folder_hides_a_name_of_a_later_one(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder, title in ((first, "Ours"), (second, "Theirs")):
        folder.mkdir()
        write(folder, "alpha", title)
    write(second, "beta", "Also")
    assert listed(first, second, tmp_path / "not there") == ({"alpha": "Ours", "beta": "Also"}, "")


def test_a_change_is_seen_at_the_next_visit(tmp_path: Path) -> None:
    path = write(tmp_path, "alpha", "Before")
    assert listed(tmp_path)[0] == {"alpha": "Before"}
    write(tmp_path, "alpha", "After, longer")
    assert listed(tmp_path)[0] == {"alpha": "After, longer"}
    path.unlink()
    assert listed(tmp_path)[0] == {}


def test_what_cannot_be_offered_is_named_and_breaks_nothing(tmp_path: Path) -> None:
    write(tmp_path, "good")
    for name in ("broken", "array"):
        (tmp_path / f"{name}.ipynb").write_text("[" if name == "broken" else "[]")
    write(tmp_path, "two\nlines")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.ipynb")).write_text(json.dumps(WELCOME))
    (tmp_path / "folder.ipynb").mkdir()
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "nowhere.ipynb").symlink_to("/nowhere")
    write(tmp_path, ".hidden")
    found, notice = listed(tmp_path)
    assert found == {"good": "A title"}
    for named in ("broken", "array", r"two\nlines", r"\udcff"):
        assert named in notice
    page = SpawnPage(cards=[ProfileCard(_profile())], notice=notice)
    render_form(page).encode()  # as the hub sends it


def _profile() -> Any:
    from blackroad_nb.core.profile import DEFAULT_PROFILE

    return DEFAULT_PROFILE


@pytest.mark.parametrize("name", ["../alpha", "/etc/passwd", "alph", "alpha.ipynb", ".hidden", ""])
def test_only_a_template_of_the_operator_can_be_asked_for(tmp_path: Path, name: str) -> None:
    write(tmp_path, "alpha")
    write(tmp_path, ".hidden")
    check_template([str(tmp_path)], "alpha")
    check_template([str(tmp_path)], None)
    with pytest.raises(InvalidInput, match=r"on this hub; there are: alpha\.$"):
        check_template([str(tmp_path)], name)


def test_large_templates_are_read_once(tmp_path: Path) -> None:
    for number in range(10):
        write(tmp_path, f"t{number}", padding=2_000_000)
    started = time.perf_counter()
    listed(tmp_path)
    first = time.perf_counter() - started
    started = time.perf_counter()
    assert len(listed(tmp_path)[0]) == 10
    again = time.perf_counter() - started
    print({"first_ms": round(1000 * first, 1), "again_ms": round(1000 * again, 1)})
    assert again < first / 2
