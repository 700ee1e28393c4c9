"""Runs on a notebook server that is open: handed over, followed, cancelled."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import CommandLine

SECONDS = 40
JUPYTER = str(Path(sys.executable).parent / "jupyter")
LINK = re.compile(r"http://127\.0\.0\.1:\d+/\S*\?token=[\w.]+")
OPTIONS = (
    "--no-browser",
    "--ip=127.0.0.1",
    "--allow-root",
    "--ServerApp.jpserver_extensions={'blackroad_nb': True}",
)


@dataclass
class Open:
    """A Jupyter Server with the extension on, and what it has printed so far."""

    cli: CommandLine
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    @property
    def text(self) -> str:
        return "".join(self.lines)

    @property
    def link(self) -> str:
        found = LINK.search(self.text)
        assert found, self.text
        return found[0]

    def read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.lines.append(line)


def open_server(
    cli: CommandLine, folder: str = "workspace", port: int = 0, token: str = ""
) -> Open:
    (cli.folder / folder).mkdir(exist_ok=True)
    port = port or free_port()
    command = [JUPYTER, "server", *OPTIONS, f"--ServerApp.root_dir={cli.folder / folder}",
               f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
               *([f"--IdentityProvider.token={token}"] if token else [])]  # fmt: skip
    process = subprocess.Popen(
        command,
        cwd=cli.folder,
        env=cli.variables,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    server = Open(cli, process)
    server.reader = threading.Thread(target=server.read)
    server.reader.start()
    wait_for(lambda: LINK.search(server.text) is not None or process.poll() is not None)
    assert process.poll() is None, server.text
    return server


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return int(own.getsockname()[1])


def stop(server: Open, number: signal.Signals) -> None:
    server.process.send_signal(number)
    assert server.process.wait(timeout=SECONDS) == 0, server.text
    assert server.reader is not None
    server.reader.join(timeout=SECONDS)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    home = tmp_path_factory.mktemp("up")
    cli = CommandLine(home, {"JUPYTER_RUNTIME_DIR": str(home / "runtime")})
    opened = open_server(cli)
    yield opened
    stop(opened, signal.SIGTERM)
    assert not list((home / "runtime").glob("jpserver-*.json"))


def write(server: Open, name: str, *sources: str) -> str:
    cells = [
        {"cell_type": "code", "id": f"c{index}", "metadata": {}, "source": source,
         "outputs": [], "execution_count": None}
        for index, source in enumerate(sources)
    ]  # fmt: skip
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {"cells": cells, "metadata": {"kernelspec": kernelspec}, "nbformat": 4}
    path = server.cli.folder / "workspace" / f"{name}.ipynb"
    path.write_text(json.dumps({**document, "nbformat_minor": 5}))
    return str(path)


def runs(server: Open) -> list[dict[str, Any]]:
    return list(server.cli("executions", "list", "--server").json)


def test_a_run_on_the_server_looks_like_one_here(server: Open) -> None:
    path = write(server, "shown", "print('one')", "6 * 7", "1 / 0")
    done = server.cli("execute", path, "--server")
    assert done.code == 1
    assert re.sub(r"\d+ms", "Nms", done.out).splitlines()[:4] == [
        "\N{CHECK MARK} Cell 0 [success] (Nms)",
        "  one",
        "\N{CHECK MARK} Cell 1 [success] (Nms)",
        "  42",
    ]
    assert done.complaint == "cell 2 [error]: ZeroDivisionError: division by zero"
    assert json.loads(Path(path).read_text())["cells"][0]["outputs"][0]["text"] in (
        "one\n",
        ["one\n"],
    )
    assert [row["status"] for row in server.cli("history", path).json] == [
        "error",
        "success",
        "success",
    ]


LOOP = """
from IPython.display import HTML, display
for number in range(12):
    print("before", number)
    display(HTML("<b>table</b>"))
"""


def test_a_loop_of_prints_and_tables_looks_like_one_here(server: Open) -> None:
    path = write(server, "loop", LOOP)
    there, here = server.cli("execute", path, "--server"), server.cli("execute", path)
    assert there.code == here.code == 0
    assert [line.strip() for line in here.out.splitlines()[1:3]] == [
        "before 0",
        "<IPython.core.display.HTML object>",
    ]
    assert there.out.splitlines()[1:] == here.out.splitlines()[1:]


def test_what_is_left_out_is_said_where_it_is_missing(server: Open) -> None:
    path = write(server, "long", "print('0123456789\\n' * 20_000)")
    lines = server.cli("execute", path, "--server").out.splitlines()
    assert lines[1] == "  (something is left out here; the notebook has all of it)"
    assert lines[-1] == "  0123456789"


def test_runs_there_are_listed_page_by_page(server: Open) -> None:
    path = write(server, "pages", "1")
    for _ in range(2):
        assert server.cli("execute", path, "--server").code == 0
    newest, older = server.cli("executions", "list", path, "--server").json
    for named in ([], [path], [newest["notebook_id"]]):
        listing = server.cli(
            "executions", "list", *named, "--server", "--limit", "1",
            "--cursor", str(newest["seq"]),
        )  # fmt: skip
        assert listing.json == [older]


def test_a_run_is_left_alone_watched_and_cancelled(server: Open) -> None:
    path = write(server, "long", "print('begun')", "import time\ntime.sleep(60)")
    told = server.cli("execute", path, "--server", "--detach")
    (run_id,) = re.findall(r"Started run (\S+);", told.out)
    watching = server.cli.popen(
        "executions", "watch", run_id, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert watching.stdout is not None
    assert "Cell 0 [success]" in watching.stdout.readline()
    assert server.cli("execute", path, "--server").code == 4
    assert server.cli("executions", "cancel", run_id).json["id"] == run_id
    _, complaint = watching.communicate(timeout=SECONDS)
    assert watching.returncode == 1
    assert "cancelled" in complaint
    late = server.cli("executions", "watch", run_id, "--json")
    assert late.code == 1
    assert json.loads(late.out)["status"] == "cancelled"
    ended = json.loads(server.cli("execute", write(server, "ended", "1"), "--server", "--json").out)
    too_late = server.cli("executions", "cancel", ended["id"])
    assert too_late.err == "Note: the run had ended before, as success.\n"


def test_a_run_watched_again_ends_with_the_same_exit_code(server: Open) -> None:
    path = write(server, "nokernel", "1")
    Path(path).write_text(Path(path).read_text().replace('"python3"', '"no-such-kernel"'))
    first = server.cli("execute", path, "--server")
    assert "no-such-kernel" in first.complaint
    run = runs(server)[0]
    assert (run["status"], run["code"]) == ("error", "kernel_not_found")
    again = server.cli("executions", "watch", run["id"])
    assert (again.code, again.complaint) == (first.code, first.complaint) == (3, first.complaint)


def test_a_reader_that_goes_away_ends_the_watching_but_not_the_run(server: Open) -> None:
    path = write(server, "piped", "print('first')", "print('last')")

    def without_reader(*words: str) -> int:
        pipe, end = os.pipe()
        os.close(pipe)
        with server.cli.popen(*words, stdout=end, stderr=subprocess.DEVNULL) as process:
            os.close(end)
            return process.wait(SECONDS)

    assert without_reader("execute", path, "--server") == 0
    run = runs(server)[0]
    assert run["status"] == "success"
    assert without_reader("executions", "watch", run["id"]) == 141


def test_interrupting_cancels_the_run_there(server: Open) -> None:
    path = write(server, "stopped", "print('begun')", "import time\ntime.sleep(60)")
    process = server.cli.popen(
        "execute", path, "--server", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert "Cell 0 [success]" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert complaint.count("\n") == 1
    (run,) = server.cli("executions", "list", path, "--server").json
    assert run["status"] == "cancelled"


def test_the_run_outlives_the_command_that_asked_for_it(server: Open) -> None:
    path = write(
        server, "outlives", "print('begun')", "import time\ntime.sleep(1.5)", "print('end')"
    )
    process = server.cli.popen("execute", path, "--server", stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert "Cell 0" in process.stdout.readline()
    process.kill()
    process.wait(timeout=SECONDS)
    process.stdout.close()
    (run,) = [run for run in runs(server) if run["path"] == path]
    assert run["status"] == "running"
    assert server.cli("executions", "watch", run["id"], "--json").json["status"] == "success"


TICKS = """
import time
for number in range(60):
    print("tick", number, flush=True)
    time.sleep(0.5)
"""


@pytest.mark.parametrize("back", [True, False], ids=["started again", "gone"])
def test_a_killed_server_leaves_the_terminal_with_what_the_notebook_has(
    tmp_path: Path, back: bool
) -> None:
    cli = CommandLine(tmp_path, {"JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")})
    opened = open_server(cli)
    path = Path(write(opened, "killed", "print('before')", TICKS))
    process = cli.popen(
        "execute", str(path), "--server", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for(lambda: "tick 2" in path.read_text())
    opened.process.kill()
    opened.process.wait()
    assert opened.reader is not None
    opened.reader.join(timeout=SECONDS)
    port = int(re.findall(r"127\.0\.0\.1:(\d+)", opened.text)[0])
    token = re.findall(r"token=(\w+)", opened.text)[0]
    again = open_server(cli, port=port, token=token) if back else None
    try:
        out, complaint = process.communicate(timeout=SECONDS + 30)
    finally:
        if again is not None:
            stop(again, signal.SIGTERM)
    sign = "\N{BALLOT X} Cell 1 [killed]" if back else "\N{HORIZONTAL ELLIPSIS} Cell 1 [pending]"
    assert out.splitlines()[1:6] == ["  before", sign, "  tick 0", "  tick 1", "  tick 2"]
    assert process.returncode == (5 if back else 7)
    *notes, last = complaint.splitlines()
    assert all(note.startswith("Note: the server does not answer") for note in notes)
    assert back or (len(notes) == 1 and "executions list" in last)


def test_a_kept_kernel_resumes_with_its_state(server: Open) -> None:
    path = write(server, "kept", "x = 1", "1 / 0", "print('x is', x)")
    assert server.cli("execute", path, "--server", "--keep-kernel").code == 1
    write(server, "kept", "raise SystemExit", "y = 0", "print('x is', x)")
    done = server.cli("execute", path, "--server", "--resume")
    assert done.code == 0, done.err
    assert "  x is 1\n" in done.out
    assert "Cell 0" not in done.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["execute", "outside.ipynb", "--server"], 7, "No running server serves"),
        (["execute", "nobody", "--server"], 3, "nobody"),
        (["executions", "watch", "nobody"], 3, "nobody"),
        (["executions", "cancel", "nobody"], 3, "nobody"),
        (["executions", "list", "--server", "http://127.0.0.1:9/"], 7, "No notebook server"),
    ],
)
def test_refusals(server: Open, words: list[str], code: int, said: str) -> None:
    refused = server.cli(*words)
    assert said in refused.complaint
    assert refused.code == code


def test_a_wrong_token_is_refused(server: Open) -> None:
    address = server.link.split("tree")[0].split("?")[0]
    assert server.cli("executions", "list", "--server", address).code == 0
    assert server.cli("executions", "list", "--server", server.link).code == 0
    refused = server.cli("executions", "list", "--server", address, "--token", "wrong")
    assert refused.code == 7
    assert "--token" in refused.complaint


def test_several_servers_must_be_told_apart(server: Open) -> None:
    note = server.cli.folder / "runtime" / f"jpserver-{os.getpid()}.json"
    said = {"url": "http://127.0.0.1:9/", "token": "x", "pid": os.getpid()}
    note.write_text(json.dumps({**said, "root_dir": str(server.cli.folder / "workspace")}))
    try:
        refused = server.cli("execute", write(server, "twice", "1"), "--server")
        assert refused.code == 7
        assert "http://127.0.0.1:9/" in refused.complaint
        assert server.link.split("tree")[0].split("?")[0] in refused.complaint
    finally:
        note.unlink()


def test_without_a_server(cli: CommandLine) -> None:
    alone = CommandLine(cli.folder, {"JUPYTER_RUNTIME_DIR": str(cli.folder / "none")})
    for words in (["execute", "x.ipynb", "--server"], ["executions", "watch", "x"]):
        refused = alone(*words)
        assert refused.code == 7
        assert "No notebook server is running" in refused.complaint
