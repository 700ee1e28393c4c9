"""The short form of `benchmarks/kill9.py`: the server dies under busy kernels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
ROUNDS = 2 * int(os.environ.get("BLACKROAD_SURVIVAL", "1"))


@pytest.mark.survival
@pytest.mark.timeout(120 + 30 * ROUNDS)
def test_a_killed_server_keeps_its_history_whole_and_loses_only_the_last_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from kill9 import survive

    survival = survive(tmp_path, rounds=ROUNDS, kernels=4, seed=os.getpid())
    assert survival.faults == []
    assert len(survival.answered) == ROUNDS
    assert survival.stored > 0
    assert sum(survival.missing) < sum(survival.answered)
