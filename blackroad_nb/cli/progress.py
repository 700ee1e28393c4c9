"""A run as it goes on: a bar on a terminal, and each cell once it has ended."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TextIO

from blackroad_nb.cli.printing import drop_stdout, write
from blackroad_nb.cli.terminal import is_terminal, mark, safe_text, wants_colours

_WIDTH = 24
_TICK_SECONDS = 0.5
_LEFT_OUT = "(something is left out here; the notebook has all of it)\n"
_ONLY_A_CLASS = re.compile(r"<IPython\.core\.display\.\w+ object>")


class ProgressBar:
    """One line on a terminal's stderr, drawn over itself; nothing anywhere else.

    Between `with` and its end a thread redraws it, so that the clock in it goes on
    while a cell is silent.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._live = is_terminal(self._stream) and os.environ.get("TERM") != "dumb"
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._started = time.monotonic()
        self._text = ""
        self._shown = False

    def __enter__(self) -> Self:
        if self._live:
            threading.Thread(target=self._tick, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self.clear()

    def show(self, done: int, total: int, doing: str) -> None:
        """Draw `done` of `total` and what goes on."""
        filled = _WIDTH * done // total if total else 0
        bar = "#" * filled + "-" * (_WIDTH - filled)
        self._text = f"[{bar}] {done}/{total} {doing}"
        self._draw()

    def clear(self) -> None:
        """Take the line away, so that something else can be printed."""
        with self._lock:
            self._text = ""
            self._erase()

    def _tick(self) -> None:
        while not self._ended.wait(_TICK_SECONDS):
            self._draw()

    def _draw(self) -> None:
        if not self._live:
            return
        with self._lock:
            if not self._text or self._ended.is_set():
                return
            seconds = int(time.monotonic() - self._started)
            line = f"{self._text} {seconds // 60}:{seconds % 60:02}"
            self._put(f"\r\x1b[K{line[: _columns(self._stream) - 1]}")
            self._shown = True

    def _erase(self) -> None:
        if self._shown:
            self._put("\r\x1b[K")
            self._shown = False

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # the terminal is gone; the run is not
            self._live = False


class RunReport:
    """Shows a run's events to a person, or keeps silent.

    Args:
        silent: print nothing on stdout; the bar stays.
        only_watches: the run is somebody else's, so a reader that is gone may end this program.

    Attributes:
        fault: why the rest was not printed, unless the reader just went away.
    """

    def __init__(self, bar: ProgressBar, silent: bool, only_watches: bool = False) -> None:
        self._bar = bar
        self._only_watches = only_watches
        self._silent = silent or (sys.stdout is None and not only_watches)
        self.fault: OSError | None = None
        self._colours = wants_colours(sys.stdout)
        self._done = 0
        self._total = 0
        self._noted = ""
        self._artefact: str | None = None
        self._begun: Mapping[str, Any] | None = None

    def take(self, kind: str, data: Mapping[str, Any]) -> None:
        """Show one event."""
        if kind == "run_started":
            self._total = int(data.get("total", 0))
            self._artefact = data.get("artefact")
            self._note(data.get("message"))
            self._bar.show(0, self._total, "starting")
        elif kind == "cell_started":
            self._begun = data
            self._bar.show(self._done, self._total, f"cell {data['index']}")
        elif kind == "cell_finished":
            self._begun = None
            self._done += 1
            self._print(cell_text(data, self._colours))
            self._bar.show(self._done, self._total, f"cell {data['index']} done")
        elif kind == "run_finished" and data.get("status") == "success" and not data.get("code"):
            self._note(data.get("message"))
            if not self._total:
                self._note("There was no code to run.")

    def note_break(self, seconds: float) -> None:
        """Say that the server is silent, and for how long it is tried again."""
        self._bar.clear()
        if sys.stderr is not None:
            text = f"Note: the server does not answer; it is tried for {seconds:.0f} s more."
            print(text, file=sys.stderr, flush=True)

    def end_open_cell(self, run: Mapping[str, Any] | None = None) -> None:
        """Show the cell whose end was not told, because the server was killed meanwhile.

        Its outputs come from the notebook, which holds what was written in time.

        Args:
            run: how the run ended, if that is known.
        """
        if self._begun is None:
            return
        index, cell_id = self._begun["index"], self._begun.get("cell_id")
        cells = () if run is None else run["cells"]
        known = next((cell for cell in cells if cell["index"] == index), {"status": "pending"})
        outputs = () if self._silent else _outputs_in_file(self._artefact, index, cell_id)
        self._begun = None
        self._print(cell_text({**known, "index": index, "outputs": outputs}, self._colours))

    def _note(self, message: str | None) -> None:
        """Say once what is to be known of the run; a failed one says it as it fails."""
        if message and message not in self._noted:
            self._noted += message
            self._print(f"Note: {safe_text(message, colours=False)}\n")

    def _print(self, text: str) -> None:
        if self._silent:
            return
        self._bar.clear()
        try:
            write(text)
            sys.stdout.flush()
        except OSError as error:  # the run goes on, and its notebook has everything
            if self._only_watches:
                raise
            self._silent = True
            self.fault = None if isinstance(error, BrokenPipeError) else error
            drop_stdout()


def cell_text(cell: Mapping[str, Any], colours: bool) -> str:
    """Return a cell's line and, indented beneath it, what it printed or how it failed."""
    status = str(cell["status"])
    took = cell.get("duration_ms")
    head = f"{mark(status)} Cell {cell['index']} [{status}]"
    lines = [head if took is None else f"{head} ({took}ms)"]
    outputs = cell.get("outputs") or ()
    text = _LEFT_OUT if cell.get("truncated") else ""
    text += "".join(_texts(outputs))
    if not any(output.get("output_type") == "error" for output in outputs):
        text += cell.get("error") or ""
    shown = safe_text(text, colours).rstrip("\n")
    if shown:
        lines.extend("  " + line if line else "" for line in shown.split("\n"))
    return "\n".join(lines) + "\n"


def _texts(outputs: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Yield each output's text, which begins on a line of its own, as on a page.

    A stream that is cut lacks its beginning, everything else its end.
    """
    for output in outputs:
        kind = output.get("output_type")
        if kind == "stream":
            if _is_cut(output):
                yield _LEFT_OUT
            yield _ended(_joined(output.get("text", "")))
        elif kind == "error":
            yield _ended("\n".join(output.get("traceback") or ()) or _short_error(output))
        elif kind in ("display_data", "execute_result"):
            yield _ended(_plain(output))
        if kind != "stream" and _is_cut(output):
            yield _LEFT_OUT


def _outputs_in_file(path: str | None, index: int, cell_id: str | None) -> Sequence[Any]:
    """Return the outputs of a cell of a notebook, if the notebook is a file of this machine."""
    if path is None:
        return ()
    try:
        with open(path, "rb") as file:
            cell = json.load(file)["cells"][index]
        return list(cell["outputs"]) if cell.get("id") == cell_id else ()
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ()


def _short_error(output: Mapping[str, Any]) -> str:
    parts = (output.get("ename", "Error"), output.get("evalue"))
    return ": ".join(str(part) for part in parts if part)


def _is_cut(output: Mapping[str, Any]) -> bool:
    """Tell whether text is missing; that a picture is, goes without saying."""
    return bool(output.get("truncated")) and "text/plain" not in (output.get("data") or {})


def _plain(output: Mapping[str, Any]) -> str:
    data = output.get("data") or {}
    # IPython's plain text for `Markdown("...")` and `Math("...")` names only their class.
    says_nothing = _ONLY_A_CLASS.fullmatch(_joined(data.get("text/plain", "")).strip())
    written = ("text/markdown", "text/latex") if says_nothing else ()
    for kind in (*written, "text/plain", "text/markdown", "text/html"):
        if kind in data:
            return _joined(data[kind])
    return f"<{', '.join(data or output.get('left_out', ()))}>"


def _joined(text: Any) -> str:
    return text if isinstance(text, str) else "".join(text)


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80
