"""How a container ended, said to the person whose session it was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from blackroad_nb.core.container import Container
from blackroad_nb.core.ending import words_of

GIB = 2**30


def ended(**values: Any) -> Container:
    return Container("id", "name", "exited", {}, datetime(2026, 11, 21, tzinfo=UTC), **values)


@pytest.mark.parametrize(
    ("container", "memory", "printed", "reason", "said"),
    [
        (ended(exit_code=137, out_of_memory=True), 8 * GIB, "", "out_of_memory",
         "The session ran out of memory: more than 8 GB was used;"),
        (ended(exit_code=137, out_of_memory=True), 384 * 2**20, "", "out_of_memory",
         "more than 0.4 GB was used;"),
        (ended(exit_code=137, out_of_memory=True), None, "", "out_of_memory", "it was full;"),
        # A kernel was killed for memory long ago; the session then ended for another reason.
        (ended(exit_code=1, out_of_memory=True), 8 * GIB, "a\nboom\n\n", "exited",
         "exit code 1. Its last words were: boom"),
        (ended(exit_code=137), 8 * GIB, "", "killed", "restart of Docker"),
        (ended(exit_code=143), 8 * GIB, "", "killed", "restart of Docker"),
        (ended(exit_code=0), 8 * GIB, "", "exited", "ended by itself with exit code 0."),
        (ended(exit_code=3), 8 * GIB, "x" * 500, "exited", f"{'x' * 197}..."),
        (ended(exit_code=128, error="OCI runtime\n failed"), 8 * GIB, "", "not_started",
         "could not be started: OCI runtime failed"),
    ],
)  # fmt: skip
def test_last_words(
    container: Container, memory: int | None, printed: str, reason: str, said: str
) -> None:
    words = words_of(container, memory, printed)
    assert (words.exit_code, words.reason) == (container.exit_code, reason)
    assert said in words.message
    assert "\n" not in words.message
