"""`kernels`: list, register, check and unregister."""

from __future__ import annotations

import argparse
import sys

from blackroad_nb.cli.arguments import add_examples, seconds
from blackroad_nb.cli.printing import print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from blackroad_nb.local import LocalParts


def add_kernels(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print the kernels of this machine as a JSON list; `registered` marks those that were\n"
        "added by `kernels register`. One of those that cannot be started any more says why\n"
        "under `problem`, until it is unregistered."
    )
    add_examples(
        parser,
        "%(prog)s",
        "%(prog)s register NAME ...     add one",
        "%(prog)s check NAME            start it and run one cell",
        "%(prog)s unregister NAME       remove one that was registered",
    )
    parser.set_defaults(run=list_kernels)


def list_kernels(arguments: argparse.Namespace) -> int:
    from blackroad_nb.cli.parts import run_with_parts

    async def work(parts: LocalParts) -> list[dict[str, Any]]:
        from blackroad_nb.core.rendering import kernel_record

        return [kernel_record(kernel) for kernel in await parts.kernels.list()]

    print_json(run_with_parts(arguments, work, reading=True))
    return 0


def add_kernels_register(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Add a kernel from the command that starts it. The command follows `--`; without\n"
        "{connection_file} in it, `-f {connection_file}` is appended. The kernel is started\n"
        "and runs one cell before it is added (unless --no-check); then JupyterLab's launcher\n"
        "and `create --kernel` know it."
    )
    parser.usage = "%(prog)s NAME --language L --display-name D [OPTIONS] -- ARGV..."
    add_examples(
        parser,
        '%(prog)s torch --language python --display-name "PyTorch" \\\n'
        "      -- /opt/torch/bin/python -m ipykernel_launcher -f {connection_file}",
    )
    parser.add_argument("name", metavar="NAME", help="letters, digits, '.', '_' and '-'")
    parser.add_argument("--language", metavar="L", required=True, help="such as python or r")
    parser.add_argument("--display-name", metavar="D", required=True, help="what launchers show")
    parser.add_argument(
        "--env",
        metavar="K=V",
        action="append",
        default=[],
        help="a variable for the kernel; $NAME is expanded, $$ is a $",
    )
    parser.add_argument("--no-check", action="store_true", help="add it without starting it")
    _add_timeout(parser)
    parser.set_defaults(run=register)


def register(arguments: argparse.Namespace) -> int:
    """Register a kernel and print it."""
    from blackroad_nb.cli.parts import run_with_parts
    from blackroad_nb.errors import InvalidInput

    if not arguments.rest:
        raise InvalidInput("give the kernel's command after `--`; see `kernels register --help`.")
    environment = _environment(arguments.env)

    async def work(parts: LocalParts) -> dict[str, Any]:
        from blackroad_nb.core.rendering import kernel_record

        added = await parts.kernels.register(
            arguments.name,
            arguments.language,
            arguments.display_name,
            arguments.rest,
            env=environment,
            check=not arguments.no_check,
            timeout_seconds=arguments.timeout,
        )
        return kernel_record(added)

    added = run_with_parts(arguments, work)
    print_json(added)
    if len(added["argv"]) > len(arguments.rest):
        appended = " ".join(added["argv"][len(arguments.rest) :])
        print(f"Note: the command got {appended!r} at its end.", file=sys.stderr)
    return 0


def add_kernels_check(parser: argparse.ArgumentParser) -> None:
    parser.description = "Start a kernel, run one cell on it, stop it, and print how it went."
    add_examples(parser, "%(prog)s python3", "%(prog)s torch --timeout 120")
    parser.add_argument("name", metavar="NAME", help="as `kernels` lists it")
    _add_timeout(parser)
    parser.set_defaults(run=check)


def check(arguments: argparse.Namespace) -> int:
    from blackroad_nb.cli.parts import run_with_parts

    async def work(parts: LocalParts) -> dict[str, Any]:
        return dict(await parts.kernels.check(arguments.name, arguments.timeout))

    print_json(run_with_parts(arguments, work))
    return 0


def add_kernels_unregister(parser: argparse.ArgumentParser) -> None:
    parser.description = "Remove a kernel that `kernels register` added, with its kernelspec."
    add_examples(parser, "%(prog)s torch")
    parser.add_argument("name", metavar="NAME", help="as `kernels` lists it")
    parser.set_defaults(run=unregister)


def unregister(arguments: argparse.Namespace) -> int:
    from blackroad_nb.cli.parts import run_with_parts

    async def work(parts: LocalParts) -> None:
        await parts.kernels.unregister(arguments.name)

    run_with_parts(arguments, work)
    print_json({"name": arguments.name, "unregistered": True})
    return 0


def _add_timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", metavar="S", type=seconds, default=60.0, help="seconds (default: 60)"
    )


def _environment(pairs: Sequence[str]) -> dict[str, str]:
    from blackroad_nb.errors import InvalidInput

    split = [pair.partition("=") for pair in pairs]
    for name, separator, _value in split:
        if not name or not separator:
            raise InvalidInput(f"--env takes NAME=VALUE, not {(name + separator)!r}.")
    return {name: value for name, _separator, value in split}
