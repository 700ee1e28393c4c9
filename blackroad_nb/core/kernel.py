"""A registered kernel: what makes one acceptable, and what a first cell is in its language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from blackroad_nb.core.kinds import check_mapping, check_text
from blackroad_nb.errors import InvalidInput

# jupyter_client.kernelspec accepts these names for a kernelspec folder.
NAME_LIMIT = 100  # characters
NAME = re.compile(rf"[a-z0-9._-]{{1,{NAME_LIMIT}}}", re.IGNORECASE)
CONNECTION_FILE = "{connection_file}"
ARGV_LIMIT = 100_000  # characters in all; Linux refuses one word beyond 128 KiB
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A cell that says something in its language; where we know none, a number is one in most.
_FIRST_CELLS = {
    "bash": "echo ready",
    "javascript": 'console.log("ready")',
    "julia": 'println("ready")',
    "python": 'print("ready")',
    "r": 'cat("ready")',
    "ruby": 'puts "ready"',
    "rust": 'println!("ready");',
    "scala": 'println("ready")',
    "typescript": 'console.log("ready")',
}


@dataclass(frozen=True, slots=True)
class RegisteredKernel:
    """A kernel added through us; its kernelspec folder carries the same name."""

    id: str
    name: str
    language: str
    display_name: str
    argv: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KernelInfo:
    """A kernel of this machine, whoever installed it.

    Attributes:
        registered: its kernelspec was written by us, or our registry knows it.
        problem: why a registered kernel may not be what it was, in one sentence.
    """

    name: str
    language: str
    display_name: str
    argv: tuple[str, ...]
    registered: bool
    problem: str | None = None


def check_kernel_name(name: str) -> str:
    """Return a name that a kernelspec folder can have. Raises InvalidInput."""
    if len(check_text(name, "The kernel name")) > NAME_LIMIT:
        raise InvalidInput(f"The kernel name has {len(name)} characters; {NAME_LIMIT} is the most.")
    if not NAME.fullmatch(name) or name.startswith("."):
        raise InvalidInput(
            f"The kernel name {name!r} may hold only letters, digits, '.', '_' and '-'."
        )
    return name


def check_kernel(name: str, language: str, display_name: str, argv: Sequence[str]) -> None:
    """Refuse a registration that could not become a working kernelspec.

    Raises:
        InvalidInput: says which field is wrong and what it should hold.
    """
    check_kernel_name(name)
    for label, value in (("language", language), ("display name", display_name)):
        if not check_text(value, f"The {label}").strip() or not value.isprintable():
            raise InvalidInput(f"The {label} must be one visible line of text.")
    listed = isinstance(argv, Sequence) and not isinstance(argv, str)
    if not listed or not argv or not all(isinstance(word, str) and word for word in argv):
        raise InvalidInput("The argv must be a list of non-empty words.")
    if sum(map(len, argv)) > ARGV_LIMIT:
        raise InvalidInput(f"The argv is longer than {ARGV_LIMIT} characters; shorten it.")
    if any("\0" in word for word in argv):
        raise InvalidInput("A word of the argv holds a NUL character; remove it.")


def completed_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """Return the command with `-f {connection_file}` at its end, unless it names that file.

    `-f` is what ipykernel, and most kernels after it, read the file's name from.
    """
    if any(CONNECTION_FILE in word for word in argv):
        return tuple(argv)
    return (*argv, "-f", CONNECTION_FILE)


def check_environment(env: Mapping[str, str]) -> None:
    """Refuse variables that no process could be given.

    Raises:
        InvalidInput: says which variable.
    """
    for name, value in check_mapping(env, "The environment").items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise InvalidInput(
                f"{name!r} cannot name a variable; use letters, digits and '_', no digit first."
            )
        if not isinstance(value, str) or "\0" in value or len(value) > ARGV_LIMIT:
            raise InvalidInput(
                f"The value of {name} must be text without NUL, {ARGV_LIMIT} characters at most."
            )


def first_cell(language: str) -> str:
    """Return a cell that any working kernel of the language runs without an error."""
    return _FIRST_CELLS.get(language.casefold(), "1")


def speaks(language: str, reported: str) -> bool:
    """Tell whether a kernel that reports one language may be registered as another.

    Versions may follow the name: a kernelspec says `C++17` where its kernel says `c++`.
    """
    said, asked = reported.casefold(), language.casefold()
    return not said or asked.startswith(said) or said.startswith(asked)


def joined(
    specs: Sequence[KernelInfo], registered: Sequence[RegisteredKernel]
) -> tuple[KernelInfo, ...]:
    """Join what Jupyter finds with what was registered; the kernelspec is the truth.

    A registration whose kernelspec is gone, replaced or changed by hand says so.
    """
    rows = {kernel.name: kernel for kernel in registered}
    shown = [_compared(spec, rows.pop(spec.name, None)) for spec in specs]
    gone = [
        KernelInfo(
            row.name,
            row.language,
            row.display_name,
            row.argv,
            registered=True,
            problem="Its kernelspec is gone or broken; register it again, or unregister it.",
        )
        for row in rows.values()
    ]
    return tuple(sorted([*shown, *gone], key=lambda kernel: kernel.name))


def _compared(spec: KernelInfo, row: RegisteredKernel | None) -> KernelInfo:
    if row is None:
        return spec
    if not spec.registered:
        return replace(
            spec, problem="Another kernelspec has taken this name; unregister to forget ours."
        )
    now = (spec.language, spec.display_name, spec.argv)
    if now != (row.language, row.display_name, row.argv):
        return replace(spec, problem="Its kernel.json was changed since it was registered.")
    return spec
