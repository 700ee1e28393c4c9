"""A Docker daemon of the test's own, which may be stopped, killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hub_process import until

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.errors import EngineUnavailable

ANSWERS = "answers"
TINY = "br-test-tiny:1"
HOST_FOLDERS = ("/usr", "/lib", "/lib64", "/bin")


class OwnEngine:
    """A daemon in `folder`, apart from every other on this machine."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None
        self.engine = DockerEngine(address=self.address, timeout_seconds=20)

    @property
    def address(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    def start(self) -> None:
        """Start the daemon; on a busy machine it may not wait long enough for its own parts."""
        for _ in range(3):
            self._launch()
            if until(self._answers) == ANSWERS:
                return
        raise AssertionError((self.folder / "log").read_text())

    def _launch(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--data-root", str(self.folder / "data"),
                 "--exec-root", str(self.folder / "exec"), "-H", self.address,
                 "--pidfile", str(self.folder / "pid"), "--bridge", "none", "--iptables=false",
                 "--ip-forward=false", "--default-address-pool", "base=10.233.0.0/16,size=24",
                 *self.options],
                env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def stop(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(60)
        if number == signal.SIGKILL:  # the next daemon would wait for this one's half for 15 s
            half = self.folder / "exec/containerd/containerd.pid"
            os.kill(int(half.read_text()), number)
            half.unlink()
        (self.folder / "pid").unlink(missing_ok=True)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()
        # A killed daemon leaves its containerd; a live-restore one its containers.
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(self.folder) in command and int(entry.name) != os.getpid():
                os.kill(int(entry.name), signal.SIGKILL)
        mounts = Path("/proc/mounts").read_text().splitlines()
        for place in reversed([line.split()[1] for line in mounts]):
            if place.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "-l", place], capture_output=True)

    def _answers(self) -> str:
        assert self.process is not None
        if self.process.poll() is not None:
            return "ended"
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(f"{self.folder}/docker.sock")
            except OSError:
                return ""
        try:
            self.engine.check()
        except EngineUnavailable:  # it listens, and is not ready to talk
            return ""
        return ANSWERS


@contextmanager
def own_engine(*options: str) -> Iterator[OwnEngine]:
    """Run a daemon with an image that has nothing in it but what is mounted.

    It needs root and dockerd; where they are missing the test is skipped, or fails in CI.
    """
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    if os.geteuid() != 0 or shutil.which("dockerd", path=path) is None:
        missing = "NO DOCKERD: this test starts its own, for which it needs root and dockerd"
        if os.environ.get("BLACKROAD_TEST_NEEDS_DOCKER"):
            pytest.fail(missing)
        pytest.skip(missing)
    with TemporaryDirectory(prefix="br-engine-", ignore_cleanup_errors=True) as folder:
        made = OwnEngine(Path(folder), *options)
        try:
            made.start()
            made.engine.client.import_image_from_data(
                b"\0" * 10240, repository=TINY.split(":", maxsplit=1)[0], tag="1"
            )
            yield made
        finally:
            made.end()


def tiny_config() -> str:
    """Return configuration that runs the tiny session with this machine's own Python."""
    here = Path(__file__).resolve().parent
    base = Path(sys.base_prefix)
    folders = {*HOST_FOLDERS, str(here), *([] if base.is_relative_to("/usr") else [str(base)])}
    mounts = [
        {"source": str(Path(folder).resolve()), "target": folder}
        for folder in sorted(folders)
        if Path(folder).exists()
    ]
    python = Path(sys.executable).resolve()
    return (
        f"c.BlackRoadSpawner.shared_mounts = {mounts!r}\n"
        f"c.Spawner.cmd = [{str(python)!r}, '-S', {str(here / 'tiny_session.py')!r}]\n"
    )
