"""Claims: locked as long as the process lives, however it and its starter end."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from blackroad_nb.adapters.process_files import Claim, claim, claimed, end, holder, holders

STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"
PLAIN = "import signal; print(flush=True); signal.pause()"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def start(
    path: Path, started: list[subprocess.Popen[bytes]], program: str = PLAIN
) -> subprocess.Popen[bytes]:
    own = claim(path)
    assert own is not None
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        pass_fds=(own.descriptor,),
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    started.append(process)
    own.name_holder(process.pid)
    own.release()
    assert process.stdout is not None
    process.stdout.readline()
    return process


def left_over(path: Path, started: list[subprocess.Popen[bytes]]) -> Path:
    """Leave the file of a process that was killed."""
    process = start(path, started)
    process.kill()
    process.wait()
    return path


def test_a_child_holds_the_claim_and_death_frees_it(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    path = tmp_path / "proxy"
    process = start(path, started)
    assert holder(path) == process.pid
    assert claim(path) is None
    process.kill()
    process.wait()
    assert holder(path) is None
    again = claim(path)
    assert isinstance(again, Claim)
    again.release()


def test_only_its_owner_reads_a_claim(tmp_path: Path) -> None:
    with claimed(tmp_path / "hub") as mine:
        assert mine
        assert (tmp_path / "hub").stat().st_mode & 0o777 == 0o600
        with claimed(tmp_path / "hub") as too:
            assert not too
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("program", [PLAIN, STUBBORN])
def test_ending_asks_first_and_then_insists(
    tmp_path: Path, started: list[subprocess.Popen[bytes]], program: str
) -> None:
    path = tmp_path / "session-1"
    process = start(path, started, program)
    assert end(path, grace_seconds=0.3, group=True)
    expected = signal.SIGTERM if program is PLAIN else signal.SIGKILL
    assert process.wait(timeout=5) == -expected
    assert not path.exists()
    assert not end(path)


def test_a_pid_that_is_used_again_is_not_ended(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    innocent = start(tmp_path / "other", started)
    (tmp_path / "left").write_text(f'{{"pid": {innocent.pid}}}')
    assert not end(tmp_path / "left")
    assert innocent.poll() is None


def test_a_listing_tidies_what_is_left_over(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    process = start(tmp_path / "session-a", started)
    (tmp_path / "session-b").write_text("half wri")
    assert holders(tmp_path, "session-*") == {"session-a": process.pid}
    assert not (tmp_path / "session-b").exists()


def test_who_held_it_before_is_not_named_for_who_holds_it_now(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    path = left_over(tmp_path / "hub", started)
    again = claim(path)
    assert again is not None
    assert holder(path) == 0
    again.release()


def test_who_only_looks_is_not_taken_for_the_holder(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    path = left_over(tmp_path / "hub", started)
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)  # as `holder` does, in another process
        assert holder(path) is None
        assert holders(tmp_path) == {}
        assert path.exists()  # tidied by whoever looks alone
    assert holders(tmp_path) == {}
    assert not path.exists()


def test_it_is_had_while_others_look(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    path = tmp_path / "hub"
    looking = f"""
import pathlib
from blackroad_nb.adapters.process_files import holder
print(flush=True)
while True:
    holder(pathlib.Path({str(path)!r}), tidy=True)
"""
    looker = subprocess.Popen([sys.executable, "-c", looking], stdout=subprocess.PIPE)
    started.append(looker)
    assert looker.stdout is not None
    looker.stdout.readline()
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        first = claim(path)
        assert first is not None
        assert claim(path) is None
        first.release()
