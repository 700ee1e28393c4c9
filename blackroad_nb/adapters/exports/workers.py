"""Export workers as their callers see them: started when needed, killed when stuck."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blackroad_nb.adapters.exports.worker import Parts, receive, send
from blackroad_nb.errors import ExportFailed

_SWEEPS = 20
_SWEEP_SECONDS = 0.05


class Worker:
    """One worker process; a dead one is replaced at the next request.

    Args:
        limit_seconds: a request that takes longer is killed with everything it started.
    """

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None  # what its converters leave lying about
        self._left: weakref.finalize[..., Worker] | None = None  # ends the process at exit
        self._changing = threading.Lock()
        self._closed = False
        self._too_late = False

    def ask(self, request: Mapping[str, Any], parts: Parts) -> tuple[dict[str, Any], Parts]:
        """Send a request and wait for its answer.

        Raises:
            ExportFailed: the worker died, was stopped, or took too long.
        """
        process = self._started()
        timer = threading.Timer(self._limit_seconds, self._expire, [process])
        timer.daemon = True
        self._too_late = False
        timer.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            limited = {**request, "limit_seconds": self._limit_seconds}
            send(process.stdin, limited, parts)
            return receive(process.stdout)
        except (OSError, EOFError, ValueError):
            raise ExportFailed(self._what_happened(process)) from None
        finally:
            timer.cancel()

    def interrupt(self) -> None:
        """Kill the process and wait for nothing; the thread that asks it cleans up."""
        process = self._process
        if process is not None:
            _signal(process)

    def stop(self) -> None:
        """Kill the process, also in the middle of a request; the next request starts one."""
        with self._changing:
            process, self._process = self._process, None
            folder, self._folder = self._folder, None
        if process is not None and folder is not None:
            _kill(process, folder)

    def close(self) -> None:
        """Stop for good."""
        self._closed = True
        self.stop()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._changing:
            if self._closed:
                raise ExportFailed("The exporter was closed before this export began.")
            if self._process is not None and self._folder is not None:
                if self._process.poll() is None:
                    return self._process
                _kill(self._process, self._folder)
            self._folder = Path(tempfile.mkdtemp(prefix="blackroad-export-"))
            self._process = _start(self._folder)
            if self._left is not None:
                self._left.detach()  # that process is gone
            self._left = weakref.finalize(self, _kill, self._process, self._folder)
            return self._process

    def _expire(self, process: subprocess.Popen[bytes]) -> None:
        self._too_late = True
        _signal(process)

    def _what_happened(self, process: subprocess.Popen[bytes]) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)  # its pipes close before it has an exit code
        code = process.poll()
        self.stop()
        if self._too_late:
            return (
                f"The export took longer than {self._limit_seconds:g} s and was stopped; "
                "clear large outputs, or use `jupyter nbconvert` for this notebook."
            )
        if self._closed:
            return "The export was stopped because the program is closing."
        return (
            f"The export process ended (exit code {code}), perhaps for want of "
            "memory; clear large outputs and try again."
        )


def _start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        # -P: the working folder holds notebooks, and modules in it are not ours.
        [sys.executable, "-P", "-m", "blackroad_nb.adapters.exports.worker", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parent,
        env={**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))},
        start_new_session=True,
    )


def _signal(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and what it started (TeX, a browser)."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()


def _kill(process: subprocess.Popen[bytes], folder: Path) -> None:
    _signal(process)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    # A browser that dies with its driver may still be writing.
    for _ in range(_SWEEPS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_SWEEP_SECONDS)
