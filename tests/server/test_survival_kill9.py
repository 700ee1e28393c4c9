"""The short form of `benchmarks/kill9.py`: the server dies under busy kernels."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
ROUNDS = 2 * int(os.environ.get("BLACKROAD_SURVIVAL", "1"))


@pytest.mark.survival
@pytest.mark.timeout(120 + 30 * ROUNDS)
def test_a_killed_server_loses_no_acknowledged_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(sys, "argv", ["kill9"])
    from kill9 import survive

    report = survive(tmp_path, rounds=ROUNDS, kernels=4, seed=os.getpid())
    assert report.faults == []
    assert report.rounds == ROUNDS
    assert report.acknowledged > 0
    assert report.stored >= report.acknowledged / ROUNDS
