"""The tables of docs/performance.md are those that the raw results give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BENCHMARKS = ROOT / "benchmarks"
RESULTS = sorted((BENCHMARKS / "results").glob("*.json"))
PAGE = (ROOT / "docs" / "performance.md").read_text()


@pytest.fixture(autouse=True)
def _benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_the_page_shows_the_results() -> None:
    from render import rendered

    assert rendered(PAGE) == PAGE, "run `python benchmarks/render.py`"


def test_every_benchmark_has_its_place_on_the_page() -> None:
    from render import names

    measuring = {file.stem for file in BENCHMARKS.glob("*.py") if "Report(" in file.read_text()}
    assert sorted(names(PAGE)) == sorted(measuring - {"report"})


def test_raw_results_say_what_was_measured_and_name_no_place() -> None:
    for file in RESULTS:
        text = file.read_text()
        header = json.loads(text)["header"]
        assert {"date", "commit", "processor", "python", "packages"} <= header.keys(), file.name
        named = [place for place in ("/home/", "/root/", "/tmp/") if place in text]
        assert not named, file.name


def test_a_table_is_made_from_the_raw_rounds(tmp_path: Path) -> None:
    from render import rendered
    from report import header

    measured = {"policy": [12.0, 14.0, 13.0], "plain": [10.0] * 3}
    head = {**header(()), "load after": 0.0}
    result = {"header": head, "settings": {}, "found": measured}
    (tmp_path / "hub_policy.json").write_text(json.dumps(result))
    shown = rendered("<!-- results of hub_policy -->\nold\n<!-- end of results -->\n", tmp_path)
    assert "| request to ready | 13.0 ms | 10.0 ms | +3.0 ms | +2.5 to +3.5 | +10 ms |" in shown
    assert "old" not in shown
    assert rendered(shown, tmp_path) == shown
