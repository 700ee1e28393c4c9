"""`execute` without a server, on real kernels."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from blackroad_nb.cli.local_run import _run
from blackroad_nb.cli.parsing import parse
from blackroad_nb.cli.progress import ProgressBar, RunReport
from blackroad_nb.cli.running import _parameters
from blackroad_nb.cli.signals import Interrupted
from blackroad_nb.errors import InvalidInput, KernelNotFound
from tests.cli.conftest import SCRIPT, CommandLine, WriteNotebook

TOOK = re.compile(r"\(\d+ms\)")
SECONDS = 30
SLEEP = "open('sleeping', 'w').close()\nimport time\ntime.sleep(60)"


def outputs_of(path: str) -> list[str]:
    """Return the streamed text of each cell of a notebook file."""
    cells = json.loads(Path(path).read_text())["cells"]
    return ["".join("".join(o.get("text", "")) for o in cell["outputs"]) for cell in cells]


def test_a_signal_before_the_run_begins_leaves_the_file_unregistered(
    cli: CommandLine, write_notebook: WriteNotebook
) -> None:
    arguments = parse("execute", [write_notebook("demo", "1")])
    arguments.db = cli.variables["NOTEBOOK_DB"]
    with ProgressBar() as bar, pytest.raises(Interrupted):
        asyncio.run(_run(arguments, {}, RunReport(bar, silent=True), None, [signal.SIGINT]))
    assert cli("list").json == []


def test_progress_for_people(cli: CommandLine, write_notebook: WriteNotebook) -> None:
    path = write_notebook("demo", "print('one')\nprint('two')", "6 * 7", "", "1 / 0", "print('no')")
    done = cli("execute", path)
    assert done.code == 1
    lines = TOOK.sub("(Nms)", done.out).splitlines()
    assert lines[:5] == [
        "\N{CHECK MARK} Cell 0 [success] (Nms)",
        "  one",
        "  two",
        "\N{CHECK MARK} Cell 1 [success] (Nms)",
        "  42",
    ]
    failed = lines.index("\N{BALLOT X} Cell 3 [error] (Nms)")
    assert lines[failed + 1].startswith("  ---")
    assert lines[-1] == "  ZeroDivisionError: division by zero"
    assert "\x1b" not in done.out
    assert done.complaint == "cell 3 [error]: ZeroDivisionError: division by zero"
    assert outputs_of(path)[0] == "one\ntwo\n"
    rows = cli("history", path).json
    assert [row["status"] for row in rows] == ["error", "success", "success"]
    assert cli("executions", "list").json[0]["status"] == "error"


def test_runs_are_listed_page_by_page(cli: CommandLine, write_notebook: WriteNotebook) -> None:
    path = write_notebook("pages", "1")
    for _ in range(3):
        assert cli("execute", path).code == 0
    whole = cli("executions", "list").json
    first = cli("executions", "list", path, "--limit", "2").json
    assert first == whole[:2]
    seq = str(first[-1]["seq"])
    assert cli("executions", "list", path, "--limit", "2", "--cursor", seq).json == whole[2:]
    assert cli("executions", "list", "--cursor", "x").code == 2


def test_json_holds_the_run_and_nothing_else(
    cli: CommandLine, write_notebook: WriteNotebook
) -> None:
    path = write_notebook("demo", "print('one')", "1 / 0", "print('three')")
    done = cli("execute", path, "--json", "--continue-on-error")
    assert done.code == 1
    run = json.loads(done.out)
    assert run["status"] == "error"
    assert [cell["status"] for cell in run["cells"]] == ["success", "error", "success"]
    assert run["cells"][0]["outputs"][0]["text"] == "one\n"
    assert "cell 1 [error]: ZeroDivisionError" in done.complaint


def test_parameters_from_words_and_file(cli: CommandLine, write_notebook: WriteNotebook) -> None:
    path = write_notebook(
        "demo", "a, b, c, d = 1, 2, 3, 4", "print([a, b, c, d])", tags={0: ["parameters"]}
    )
    (cli.folder / "p.json").write_text('{"a": [1, null], "b": "file"}')
    done = cli(
        "execute", path, "--parameters-file", "p.json",
        "-p", "b", "word", "-p", "c", "False", "-p", "d", "-Infinity",
        "--output", "out.ipynb",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "[[1, None], 'word', False, -inf]" in done.out
    assert outputs_of(path) == ["", ""]
    assert "[[1, None], 'word', False, -inf]\n" in outputs_of(str(cli.folder / "out.ipynb"))


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["-p", "a", "False"], False),
        (["-p", "a", "-1e5"], -1e5),
        (["-p", "a", "-abc"], "-abc"),
        (["-p", "a", "--x"], "--x"),
        (["-p", "a", "-p"], "-p"),
        (["-p", "a", "--"], "--"),
        (["-p", "a", ""], ""),
        (["-p", "a", "b=c"], "b=c"),
        (["-p", "a=-1e5"], -1e5),
        (["-p", "a="], ""),
        (["-p", "a=b=c"], "b=c"),
        (["--parameter", "a", "--cell"], "--cell"),
        (["--parameter=a=-3"], -3),
        (["-p", "a", "1", "-p", "a=2"], 2),
        (["-r", "a", "-007"], "-007"),
        (["--parameter-raw", "a=False"], "False"),
        (["-p", "a", "1", "-r", "a", "1"], "1"),
    ],
    ids=str,
)
def test_how_a_parameter_may_be_written(words: list[str], value: object) -> None:
    found = _parameters(parse("execute", [*words, "x.ipynb", "--timeout", "5"]))
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-p"], "expected one argument"),
        (["-p", "a"], "'a' has no value"),
        (["--cell", "0", "--cell", "1"], "--cell is given twice"),
        (["--output", "a.ipynb", "--output", "a.ipynb"], "--output is given twice"),
    ],
    ids=str,
)
def test_options_that_are_not_clear(words: list[str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        _parameters(parse("execute", ["x.ipynb", *words]))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"{", "not JSON"),
        (b"[1]", "one JSON object"),
        (b'{"a": NaN}', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_bad_parameter_files(
    cli: CommandLine, write_notebook: WriteNotebook, content: bytes | None, said: str
) -> None:
    if content is not None:
        (cli.folder / "p.json").write_bytes(content)
    refused = cli("execute", write_notebook("demo", "1"), "--parameters-file", "p.json")
    assert refused.code == 2
    assert said in refused.complaint


def test_one_cell_with_and_without_those_before(
    cli: CommandLine, write_notebook: WriteNotebook
) -> None:
    path = write_notebook("demo", "x = 5", "print(x)")
    alone = cli("execute", path, "--cell", "1")
    assert alone.code == 1
    assert "NameError" in alone.complaint
    together = cli("execute", path, "--cell", "1", "--with-predecessors", "--json")
    assert [cell["index"] for cell in together.json["cells"]] == [0, 1]
    refused = cli("execute", path, "--cell", "2")
    assert refused.code == 2
    assert "2" in refused.complaint


def test_resume_goes_on_after_the_failed_cell_was_mended(
    cli: CommandLine, write_notebook: WriteNotebook
) -> None:
    path = write_notebook("demo", "x = 1", "1 / 0", "print(x)")
    assert cli("execute", path).code == 1
    write_notebook("demo", "x = 1", "y = 0", "print(x)")
    done = cli("execute", path, "--resume", "--json")
    assert done.json["status"] == "success"
    assert outputs_of(path)[2] == "1\n"


def test_a_cell_that_takes_too_long(cli: CommandLine, write_notebook: WriteNotebook) -> None:
    path = write_notebook("slow", "import time\ntime.sleep(60)")
    done = cli("execute", path, "--timeout", "0.5")
    assert done.code == 1
    assert "Cell 0 [timeout]" in done.out
    assert "cell 0 [timeout]" in done.complaint


def test_a_kernel_that_dies(cli: CommandLine, write_notebook: WriteNotebook) -> None:
    path = write_notebook("dies", "import os\nos.kill(os.getpid(), 9)", "print(1)")
    done = cli("execute", path)
    assert done.code == 5
    assert "\N{BALLOT X} Cell 0 [killed]" in done.out
    assert "cell 0 [killed]" in done.complaint


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "JSON"), ("{}", "cells"), ('{"cells": [1]}', "format"), ("\0", "JSON")],
)
def test_files_that_are_no_notebooks(cli: CommandLine, content: str, said: str) -> None:
    (cli.folder / "bad.ipynb").write_text(content)
    refused = cli("execute", "bad.ipynb")
    assert refused.code == 2
    assert said in refused.complaint


def test_a_file_with_an_odd_name_is_registered_by_it(
    cli: CommandLine, write_notebook: WriteNotebook
) -> None:
    path = write_notebook("two\nlines \N{COLLISION SYMBOL}", "print('ran')")
    assert cli("execute", path).code == 0
    assert [row["name"] for row in cli("list").json] == ["two lines \N{COLLISION SYMBOL}"]
    assert ".ipynb" in cli("execute", "/").complaint


def test_the_one_line_says_the_error_and_then_what_is_to_be_known(
    cli: CommandLine, write_notebook: WriteNotebook
) -> None:
    path = write_notebook("demo", "a = 1", "1 / 0", tags={0: ["parameters"]})
    done = cli("execute", path, "-p", "b", "2")
    assert done.complaint == (
        "cell 2 [error]: ZeroDivisionError: division by zero. "
        "No default in the cell tagged `parameters`: b."
    )


def test_an_unknown_kernel(cli: CommandLine, write_notebook: WriteNotebook) -> None:
    path = Path(write_notebook("odd", "1"))
    path.write_text(path.read_text().replace('"python3"', '"nosuch"'))
    done = cli("execute", str(path))
    assert done.code == KernelNotFound.exit_code
    assert "nosuch" in done.complaint
    assert cli("list").json == []  # nothing ran, so nothing was registered
    refused = cli("create", "Odd", str(path), "--adopt", "--kernel", "python3")
    assert "names the kernel 'nosuch'" in refused.complaint
    assert cli("create", "Odd", str(path), "--adopt").code == 0
    assert cli("execute", str(path)).code == KernelNotFound.exit_code
    assert [row["name"] for row in cli("list").json] == ["Odd"]


def test_a_first_run_that_is_refused_registers_nothing(
    cli: CommandLine, write_notebook: WriteNotebook
) -> None:
    path = write_notebook("one", "1")
    assert "no cell 7" in cli("execute", path, "--cell", "7").complaint
    assert cli("list").json == []


def test_a_run_on_another_kernel(cli: CommandLine, write_notebook: WriteNotebook) -> None:
    path = Path(write_notebook("odd", "print(6 * 7)", "1 / 0"))
    path.write_text(path.read_text().replace('"python3"', '"nosuch"'))
    done = cli("execute", str(path), "--kernel", "python3", "--json")
    assert (done.code, json.loads(done.out)["kernel"]) == (1, "python3")
    again = cli("execute", str(path), "--resume", "--json")
    assert (again.code, json.loads(again.out)["kernel"]) == (1, "python3")
    assert outputs_of(str(path))[0] == "42\n"
    assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "nosuch"
    assert cli("list").json[0]["kernel"] == "nosuch"
    assert (
        "leave --kernel out"
        in cli("execute", str(path), "--resume", "--kernel", "python3").complaint
    )
    assert cli("execute", str(path), "--kernel", "no such").code == 2


def test_output_that_would_steer_a_terminal(
    cli: CommandLine, write_notebook: WriteNotebook
) -> None:
    hostile = (
        r"print('\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m \x1b]8;;http://x\x1b\\link \x9b5n')"
    )
    overwritten = r"for i in range(5): print(i, end='\r')"
    path = write_notebook("hostile", hostile, overwritten)
    done = cli("execute", path)
    assert "  red link 5n\n" in done.out or "  red link \n" in done.out
    assert not set("\x1b\x07\x9b") & set(done.out)
    assert done.out.endswith("(Nms)\n  4\n") or done.out.endswith("  4\n")


def test_a_notebook_without_code_says_so(cli: CommandLine) -> None:
    assert cli("create", "Empty", "empty.ipynb").code == 0
    assert cli("execute", "empty.ipynb").out == "Note: There was no code to run.\n"
    assert cli("execute", "empty.ipynb", "--json").json["status"] == "success"


def test_each_output_begins_on_a_line_of_its_own(
    cli: CommandLine, write_notebook: WriteNotebook
) -> None:
    result = "print('loading', end='')\n6 * 7"
    streams = "import sys\nprint('out', end='', flush=True)\nprint('err', end='', file=sys.stderr)"
    failed = "print('doing ... ', end='')\n1 / 0"
    done = cli("execute", write_notebook("mixed", result, streams, failed))
    assert "  loading\n  42\n" in done.out
    assert "  out\n  err\n" in done.out
    assert "  doing ... \n  -----" in done.out


def test_coloured_output_ends_without_an_empty_line(
    cli: CommandLine, write_notebook: WriteNotebook
) -> None:
    shown = on_terminal(
        cli, "execute", write_notebook("colours", r"print('\x1b[31mred\x1b[0m plain')", "1")
    )
    assert "\x1b[31mred\x1b[0m plain\x1b[0m\r\n\r\x1b[K" in shown


def test_written_text_is_shown_and_not_the_name_of_its_class(
    cli: CommandLine, write_notebook: WriteNotebook
) -> None:
    source = """
from IPython.display import HTML, Markdown, Math, display
display(Markdown("**bold**"))
display(Math("x^2"))
display(HTML("<b>table</b>"))
"""
    done = cli("execute", write_notebook("shown", source))
    assert done.code == 0
    assert done.out.splitlines()[1:] == [
        "  **bold**",
        "  $\\displaystyle x^2$",
        "  <IPython.core.display.HTML object>",
    ]


def test_long_output_is_shown_whole(cli: CommandLine, write_notebook: WriteNotebook) -> None:
    path = write_notebook("long", "for i in range(5000): print('line', i)")
    done = cli("execute", path)
    assert done.out.count("  line ") == 5000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_and_keeps_what_was_done(
    cli: CommandLine, write_notebook: WriteNotebook, number: signal.Signals
) -> None:
    path = write_notebook("slow", "print('done')", SLEEP, "print('never')")
    process = cli.popen("execute", path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for((cli.folder / "sleeping").exists)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=SECONDS)
    assert process.returncode == 128 + number
    assert complaint.count("\n") == 1
    assert "what was done is kept" in complaint
    assert outputs_of(path)[0] == "done\n"
    assert outputs_of(path)[2] == ""
    (run,) = cli("executions", "list").json
    assert run["status"] == "cancelled"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_notebook_that_another_process_runs_is_not_deleted(
    cli: CommandLine, write_notebook: WriteNotebook, ending: signal.Signals
) -> None:
    path = write_notebook("slow", SLEEP)
    process = cli.popen("execute", path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for((cli.folder / "sleeping").exists)
    refused = cli("delete", path, "--file")
    assert refused.code == 4
    assert "Another process runs this notebook" in refused.complaint
    assert Path(path).exists()
    process.send_signal(ending)
    process.communicate(timeout=SECONDS)
    assert cli("delete", path, "--file").json["path"] == path
    assert cli("history", "--all").json == cli("executions", "list").json == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("delay_seconds", [0.0, 0.1, 0.3])
def test_a_signal_while_the_kernel_boots_leaves_nothing_behind(
    cli: CommandLine, write_notebook: WriteNotebook, number: signal.Signals, delay_seconds: float
) -> None:
    path = write_notebook("slow", SLEEP)
    # A short path: a kernel is started early only where its sockets' names fit.
    with tempfile.TemporaryDirectory() as runtime:
        own = CommandLine(cli.folder, {"JUPYTER_RUNTIME_DIR": runtime})
        process = own.popen("execute", path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_for(lambda: any(Path(runtime).glob("kernel-*.json")))
        time.sleep(delay_seconds)  # the phases of the start are not told from outside
        process.send_signal(number)
        _, complaint = process.communicate(timeout=SECONDS)
        assert process.returncode == 128 + number
        assert complaint.count("\n") == 1, complaint
        assert os.listdir(runtime) == []


def test_nohup_is_respected(cli: CommandLine, write_notebook: WriteNotebook) -> None:
    path = write_notebook("slow", "open('sleeping', 'w').close()\nimport time\ntime.sleep(1)")
    ignoring = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    process = cli.popen("execute", path, stdout=subprocess.DEVNULL, preexec_fn=ignoring)
    wait_for((cli.folder / "sleeping").exists)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=SECONDS) == 0


def test_a_second_interrupt_ends_at_once(cli: CommandLine, write_notebook: WriteNotebook) -> None:
    stubborn = (
        "print('ready', flush=True)\n"
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "time.sleep(60)"
    )
    path = write_notebook("stubborn", "print('before')", stubborn)
    process = cli.popen("execute", path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert "Cell 0" in process.stdout.readline()
    wait_for(lambda: "ready\n" in outputs_of(path))
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    while process.poll() is None and time.monotonic() - begun < SECONDS:
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=SECONDS)
    assert time.monotonic() - begun < 4  # the grace alone is five seconds
    assert process.returncode == -signal.SIGINT


def test_a_terminal_gets_a_bar_and_colours(cli: CommandLine, write_notebook: WriteNotebook) -> None:
    path = write_notebook("demo", "print('one')", "1 / 0")
    shown = on_terminal(cli, "execute", path)
    assert re.search(r"\[#*-+\] [01]/2 ", shown)
    assert "\r\x1b[K" in shown
    assert "\x1b[31m" in shown
    assert "Cell 0 [success]" in shown
    assert not re.search(r"\[#*-+\]", shown.rsplit("\x1b[K", 1)[1])


def test_control_c_at_a_terminal(cli: CommandLine, write_notebook: WriteNotebook) -> None:
    path = write_notebook("slow", "print('done')", SLEEP)
    shown = on_terminal(cli, "execute", path, press_when=(cli.folder / "sleeping").exists)
    assert "  done\r\n" in shown
    assert "KeyboardInterrupt" in shown
    assert shown.rstrip().endswith("what was done is kept.")
    assert "Traceback (most recent call last)" not in shown.rsplit("blackroad-nb:", 1)[1]
    assert outputs_of(path)[0] == "done\n"


def take_terminal() -> None:
    """Make stdin the terminal that sends this process its signals."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def on_terminal(cli: CommandLine, *words: str, press_when: Callable[[], bool] | None = None) -> str:
    """Run a command on a terminal of its own and return all that it showed.

    Ctrl-C is pressed once `press_when` holds.
    """
    leader, follower = pty.openpty()
    process = cli.popen(
        *words, stdin=follower, stdout=follower, stderr=follower,
        start_new_session=True, preexec_fn=take_terminal,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        ready, _, _ = select.select([leader], [], [], 0.5)
        if ready:
            try:
                shown += os.read(leader, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
        if press_when is not None and press_when():
            press_when = None
            os.write(leader, b"\x03")
    process.wait(timeout=SECONDS)
    os.close(leader)
    return shown.decode()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(("last", "code"), [("print('end')", 0), ("1/0", 1)])
def test_a_reader_that_goes_away_does_not_stop_the_run(cli, write_notebook, last, code):
    path = write_notebook("a", "print('first')", *["print('x' * 100_000)"] * 3, last)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with cli.popen("execute", path, **pipes) as process:
        assert process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read()
        assert process.wait(SECONDS) == code, complaint
    assert ("ZeroDivisionError" in complaint) == bool(code)
    assert "Broken" not in complaint
    cells = json.loads(Path(path).read_text())["cells"]
    assert len(cells[3]["outputs"][0]["text"][0]) > 100_000
    assert cells[4]["outputs"]


@pytest.mark.parametrize(("stdout", "code"), [(">&-", 0), ("> /dev/full", 1)])
def test_a_stdout_that_takes_nothing_does_not_stop_the_run(cli, write_notebook, stdout, code):
    path = write_notebook("a", "print('first')", "print('last')")
    done = cli("-c", f"exec {SCRIPT} execute {path} {stdout}", program=("bash",))
    assert done.code == code
    if code:
        assert "no space is left" in done.complaint
    assert outputs_of(path) == ["first\n", "last\n"]


EARLY = """
import sys
from blackroad_nb.adapters.kernels import early
from blackroad_nb.cli import main

start = early.start_early

def watched(kernel, cwd, title):
    started = start(kernel, cwd, title)
    print("early:", started.process.pid, title, file=sys.stderr)
    return started

early.start_early = watched
sys.exit(main(sys.argv[1:]))
"""


def test_the_kernel_of_a_notebook_named_by_id_is_started_early(cli, write_notebook):
    path = write_notebook("a", "import os; print('pid', os.getpid())")
    notebook_id = cli("create", "A", path, "--adopt").json["id"]
    # A short path: a kernel is started early only where its sockets' names fit.
    with tempfile.TemporaryDirectory() as folder:
        within = CommandLine(cli.folder, {"JUPYTER_RUNTIME_DIR": folder})
        done = within("execute", notebook_id, program=(sys.executable, "-c", EARLY))
    assert done.code == 0, done.err
    _, pid, title = done.err.split()
    assert title == path
    assert f"pid {pid}" in done.out
    unknown = cli("execute", "no-such-id")
    assert (unknown.code, "no-such-id" in unknown.complaint) == (3, True)


FULL_DISK = """
import sys
from blackroad_nb import local
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.cli import main
from blackroad_nb.errors import StoreFull

async def record(self, executions):
    raise StoreFull("The disk is full.")

SqliteStore.record = record
local.WRITE_SECONDS = 0.1
sys.exit(main(sys.argv[1:]))
"""


def test_rows_that_are_missing_in_the_history_are_an_exit_code_of_their_own(cli, write_notebook):
    path = write_notebook("a", "print('kept')")
    program = (sys.executable, "-c", FULL_DISK)
    done = cli("execute", path, program=program)
    assert done.code == 8
    assert "kept" in done.out
    assert done.complaint == (
        "every cell succeeded, but the history is not complete. "
        "1 row was not in the history when the run ended: The disk is full."
    )
    assert "kept" in Path(path).read_text()
    done = cli("execute", path, "--json", program=program)
    assert done.code == 8
    run = json.loads(done.out)
    assert (run["status"], run["code"]) == ("success", "store_full")
