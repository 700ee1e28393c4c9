"""The end of a session's process."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

LEAVING = """
import atexit, sys, threading, time
from blackroad_nb.cli.singleuser import leave
atexit.register(lambda: print("left"))
threading.Thread(target=time.sleep, args=({sleep},), daemon={daemon}).start()
print("leaving")
leave(1.0)
"""


@pytest.mark.parametrize(
    ("sleep", "daemon", "printed"),
    [
        (60, False, ["leaving"]),  # gone without it
        (0.2, False, ["leaving", "left"]),  # waited for
        (60, True, ["leaving", "left"]),
    ],
)
def test_a_thread_that_never_ends_does_not_keep_a_stopped_session(
    sleep: float, daemon: bool, printed: list[str]
) -> None:
    started = time.monotonic()
    program = LEAVING.format(sleep=sleep, daemon=daemon)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50
    )
    assert (done.returncode, done.stdout.split()) == (0, printed), done.stderr
    assert time.monotonic() - started < 30
