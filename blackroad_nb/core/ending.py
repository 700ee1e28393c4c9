"""What a container's end means to the person whose session it was."""

from __future__ import annotations

from blackroad_nb.core.container import Container
from blackroad_nb.core.server import LastWords

SIGKILL_CODE, SIGTERM_CODE = 137, 143  # 128 and the signal's number, as engines report it
_LONGEST = 200

REMOVED = LastWords(
    None,
    "removed",
    "The session's container was removed from outside the hub; saved work is kept, so start again.",
)

# A server that ran ends with code 0 when it was asked to, by whomever.
SHUT_DOWN = LastWords(
    0,
    "shut_down",
    "The session was shut down, from JupyterLab's File menu or together with Docker or the "
    "machine; saved work is kept.",
)


def words_of(container: Container, memory_bytes: int | None, printed: str = "") -> LastWords:
    """Return how a container ended: exit code, a reason, and a sentence.

    Args:
        memory_bytes: the limit it had; None when it is not known.
        printed: the last lines of what its main process printed.
    """
    code = container.exit_code
    if container.error:
        said = _shortened(container.error)
        return LastWords(code, "not_started", f"The container could not be started: {said}")
    if container.out_of_memory and code == SIGKILL_CODE:
        more = f"more than {_gigabytes(memory_bytes)} was used" if memory_bytes else "it was full"
        return LastWords(
            code,
            "out_of_memory",
            f"The session ran out of memory: {more}; saved work is kept, so start again with "
            "a larger profile or less data.",
        )
    if code in (SIGKILL_CODE, SIGTERM_CODE):
        return LastWords(
            code,
            "killed",
            "The session was ended from outside the hub, for example by a restart of Docker or "
            "of the machine; saved work is kept, so start again.",
        )
    last = _last_line(printed)
    said = f" Its last words were: {last}" if last else ""
    return LastWords(
        code, "exited", f"The session's server ended by itself with exit code {code}.{said}"
    )


def _gigabytes(number: int) -> str:
    value = number / 2**30
    return f"{value:.0f} GB" if value == int(value) or value >= 10 else f"{value:.1f} GB"


def _last_line(printed: str) -> str:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return _shortened(lines[-1]) if lines else ""


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
