"""Notebooks of other projects run with us as they run with nbclient, cell by cell.

`pytest -m nightly` downloads the packages once and takes a quarter of an hour. What
differs is listed in `known_differences.toml` with its reason. A difference that is not
listed fails the test, and so does a listed one that no longer occurs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pytest
from comparing import cells_of, joined, shown
from nbformat import from_dict
from notebook_sources import PACKAGES, copied, notebooks, unpacked

HERE = Path(__file__).parent
KNOWN = tomllib.loads((HERE / "known_differences.toml").read_text())
SECONDS = "75"  # for each cell, on both sides; one notebook sleeps for 60 s

Place = tuple[str, int | None]  # a notebook and its cell; None when only one side has a result


def places(entries: list[dict[str, Any]]) -> set[Place]:
    return {(entry["notebook"], cell) for entry in entries for cell in entry.get("cells", [None])}


VARYING = places(KNOWN["varies"])


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("package", PACKAGES)
def test_each_cell_ends_as_with_nbclient(
    package: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    source = unpacked(package, pytestconfig.cache.mkdir("real-notebooks"))
    there = notebooks(source)
    assert there, "the package has lost its notebooks"
    found: dict[Place, str] = {}
    for number, notebook in enumerate(there):
        name = f"{package}/{notebook.as_posix()}"
        found.update(differences(name, source / notebook, tmp_path / str(number)))
    listed = {place for place in places(KNOWN["difference"]) if place[0].startswith(f"{package}/")}
    new = [f"{place}\n{said}" for place, said in found.items() if place not in listed]
    assert not new, "\n\n".join(["These cells differ and are not listed:", *new])
    assert listed - set(found) == set(), "These are listed and differ no longer."


def differences(name: str, notebook: Path, folder: Path) -> Iterator[tuple[Place, str]]:
    """Run a notebook on both sides and yield the cells that differ, with what they show."""
    results = run_both(notebook, folder)
    ours, theirs = (cells_of(result) for result in results)
    if ours is None or theirs is None:
        if ours is not theirs:
            side = "ours" if ours is None else "nbclient's"
            yield (name, None), f"only one side has a result; {side} is missing"
        return
    assert len(ours) == len(theirs), name
    for number, cells in enumerate(zip(ours, theirs, strict=True)):
        varies = (name, number) in VARYING
        texts = [
            shown(cell, result.with_suffix(""), varies)
            for cell, result in zip(cells, results, strict=True)
        ]
        if texts[0] != texts[1]:
            lines = [f"  {text[:400]}" for side in texts for text in ("--", *side)]
            yield (name, number), "\n".join(lines)


def run_both(notebook: Path, folder: Path) -> tuple[Path, Path]:
    """Run two copies at the same time, each in a process and a folder of its own."""
    ours, theirs = folder / "ours.ipynb", folder / "theirs.ipynb"
    copies = [str(copied(notebook, result.with_suffix(""))) for result in (ours, theirs)]
    program = str(Path(sys.executable).parent / "blackroad-nb")
    options = ("--continue-on-error", "--timeout", SECONDS, "--output", str(ours))
    commands = (
        [program, "execute", copies[0], *options],
        [sys.executable, str(HERE / "run_with_nbclient.py"), copies[1], str(theirs), SECONDS],
    )
    environment = {**os.environ, "NOTEBOOK_DB": str(folder / "notebooks.db")}
    running = [
        subprocess.Popen(command, env=environment, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
        for command in commands
    ]
    for process in running:
        process.wait()
    return ours, theirs


# the comparison itself -----------------------------------------------------------------
def stream(name: str, text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


@pytest.mark.parametrize(
    ("pieces", "texts"),
    [
        (["out:a\n", "out:b\n"], ["a\nb\n"]),
        (["out:a", "err:b", "out:c"], ["a", "b", "c"]),
        (["out: 10%\r", "out: 20%\r\nend\r\n"], [" 20%\nend\n"]),
        (["out:ab\x08c"], ["ac"]),
    ],
)
def test_only_adjacent_pieces_of_a_stream_are_joined(pieces: list[str], texts: list[str]) -> None:
    outputs = [from_dict(stream(piece[:3], piece[4:])) for piece in pieces]
    assert [output["text"] for output in joined(outputs)] == texts


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("<X at 0x7f19d5f8dad0>", "<X at 0x7f19d5f8dad1>", True),
        ("at 2026-11-21T17:21:52.682694Z", "at 2026-11-21T17:21:57.637163Z", True),
        ("in /there/ours", "in /there/ours", True),
        ("12 rows", "13 rows", False),
        ("took 1.5 s", "took 1.6 s", False),
        ("2026-11-21", "2026-11-22", False),
    ],
)
def test_what_counts_as_the_same(one: str, other: str, same: bool) -> None:
    cells = [
        from_dict({"cell_type": "code", "execution_count": 1, "outputs": [stream("out", text)]})
        for text in (one, other)
    ]
    texts = [shown(cell, Path("/there/ours")) for cell in cells]
    assert (texts[0] == texts[1]) is same
    assert shown(cells[0], Path("/"), varies=True) == shown(cells[1], Path("/"), varies=True)
