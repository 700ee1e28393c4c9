"""What makes a registration acceptable, and how registrations join Jupyter's kernels."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from blackroad_nb.core.kernel import (
    KernelInfo,
    RegisteredKernel,
    check_environment,
    check_kernel,
    completed_argv,
    first_cell,
    joined,
    speaks,
)
from blackroad_nb.errors import InvalidInput

GOOD: dict[str, Any] = {
    "name": "torch-2.1_gpu",
    "language": "python",
    "display_name": "PyTorch (GPU) 🔥",
    "argv": ["python", "-f", "{connection_file}"],
}


def test_a_good_registration_is_accepted() -> None:
    check_kernel(**GOOD)
    check_kernel(**{**GOOD, "argv": ["sh", "-c", "exec k {connection_file}"]})


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"name": ""}, "kernel name"),
        ({"name": "a/b"}, "kernel name"),
        ({"name": ".hidden"}, "kernel name"),
        ({"name": "ü"}, "kernel name"),
        ({"name": "a\n"}, "kernel name"),
        ({"name": "a" * 101}, "kernel name has 101 characters; 100 is the most"),
        ({"language": " "}, "language"),
        ({"display_name": "a\x1b[31m"}, "display name"),
        ({"argv": []}, "argv"),
        ({"argv": ["a", ""]}, "argv"),
        ({"argv": ["a", 1, "{connection_file}"]}, "argv"),
        ({"argv": ["a\0", "{connection_file}"]}, "NUL"),
        ({"argv": ["a" * 100_001, "{connection_file}"]}, "longer than"),
    ],
)
def test_a_bad_field_is_named(fault: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        check_kernel(**{**GOOD, **fault})


@pytest.mark.parametrize(
    ("argv", "whole"),
    [
        (["python", "-m", "k"], ("python", "-m", "k", "-f", "{connection_file}")),
        (["k", "--at={connection_file}"], ("k", "--at={connection_file}")),
    ],
)
def test_the_connection_file_is_appended_where_it_is_missing(
    argv: list[str], whole: tuple[str, ...]
) -> None:
    assert completed_argv(argv) == whole


@pytest.mark.parametrize("env", [{}, {"A": ""}, {"_a1": "ü = x\n"}])
def test_good_variables(env: dict[str, str]) -> None:
    check_environment(env)


@pytest.mark.parametrize(
    "env", [{"": "x"}, {"1A": "x"}, {"A-B": "x"}, {"A\n": "x"}, {"A": "\0"}, {"A": None}]
)
def test_bad_variables(env: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        check_environment(env)


@pytest.mark.parametrize(
    ("language", "cell"),
    [("python", 'print("ready")'), ("Python", 'print("ready")'), ("R", 'cat("ready")'), ("q", "1")],
)
def test_the_first_cell_is_in_the_language(language: str, cell: str) -> None:
    assert first_cell(language) == cell


@pytest.mark.parametrize(
    ("language", "reported", "agrees"),
    [
        ("python", "python", True),
        ("Python", "python", True),
        ("C++17", "c++", True),
        ("java", "javascript", True),  # a version may follow a name, and we cannot tell
        ("python", "", True),
        ("klingon", "python", False),
        ("r", "julia", False),
    ],
)
def test_which_languages_agree(language: str, reported: str, agrees: bool) -> None:
    assert speaks(language, reported) is agrees


ROW = RegisteredKernel("1", "mine", "python", "Mine", ("p",), datetime(2026, 1, 1, tzinfo=UTC))
SPEC = KernelInfo("mine", "python", "Mine", ("p",), registered=True)
OTHER = KernelInfo("python3", "python", "Python 3", ("q",), registered=False)


@pytest.mark.parametrize(
    ("specs", "rows", "problems"),
    [
        ([], [], {}),
        ([OTHER, SPEC], [ROW], {"mine": None, "python3": None}),
        ([SPEC], [], {"mine": None}),
        ([], [ROW], {"mine": "gone"}),
        ([replace(SPEC, registered=False)], [ROW], {"mine": "taken"}),
        ([replace(SPEC, argv=("x",))], [ROW], {"mine": "changed"}),
        ([replace(SPEC, display_name="x")], [ROW], {"mine": "changed"}),
    ],
)
def test_the_kernelspec_is_the_truth(
    specs: list[KernelInfo], rows: list[RegisteredKernel], problems: dict[str, str | None]
) -> None:
    found = {kernel.name: kernel.problem for kernel in joined(specs, rows)}
    assert list(found) == sorted(problems)
    for name, problem in problems.items():
        assert (problem or "") in (found[name] or "")
        assert (problem is None) == (found[name] is None)
