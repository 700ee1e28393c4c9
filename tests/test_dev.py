"""The README's commands: what `dev.py` does beside calling other programs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import dev

JUPYTER = os.path.join(os.path.dirname(sys.executable), "jupyter")


def test_an_editable_checkout_is_switched_on(tmp_path: Path) -> None:
    def listed() -> str:
        done = subprocess.run(
            [JUPYTER, "server", "extension", "list"],
            env={**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path / "etc" / "jupyter")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
        _, _, section = output.partition(f"Config dir: {tmp_path}")
        return section.split("Config dir:")[0]

    assert "blackroad_nb" not in listed()
    dev.switch_on(tmp_path)
    assert "blackroad_nb enabled" in listed()


def test_a_word_it_does_not_know_gets_the_usage() -> None:
    done = subprocess.run(
        [sys.executable, dev.__file__, "install"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("usage: python3 dev.py up")
