"""Set up this checkout and use it: `python3 dev.py up`, `python3 dev.py test`.

Needs Python 3.11 or newer and git, nothing else. Everything it installs goes into
`.venv` beside this file; both commands can be repeated.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
USAGE = """usage: python3 dev.py up [OPTIONS]     set up and open a JupyterHub for you alone
       python3 dev.py test [OPTIONS]   set up and run all checks and tests (OPTIONS go to pytest)"""


def say(text: str) -> None:
    print(f"dev: {text}", flush=True)


def run(*command: str) -> None:
    """Run a program of the environment, or stop with its exit code."""
    say(" ".join(command))
    code = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=HERE, check=False).returncode
    if code:
        sys.exit(code)


def set_up(extra: str) -> None:
    """Make `.venv` hold this checkout with `extra`; quick when nothing changed."""
    make_environment()
    wanted = (HERE / "pyproject.toml").read_bytes() + extra.encode() + sys.version.encode()
    stamp, mark = VENV / f"installed-{extra.replace(',', '-')}", hashlib.sha256(wanted).hexdigest()
    if stamp.exists() and stamp.read_text() == mark:
        say(f".venv is up to date for [{extra}]")
        return
    run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--editable", f".[{extra}]")  # fmt: skip
    switch_on(VENV)
    stamp.write_text(mark)


def switch_on(prefix: Path) -> None:
    """Switch the extension on in an environment: an editable install brings no data files."""
    folder = prefix / "etc" / "jupyter" / "jupyter_server_config.d"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "jupyter-config" / "blackroad_nb.json", folder)


def make_environment() -> None:
    """Create `.venv` when it is missing, or was made by another Python."""
    version = VENV / "made-by"
    if version.exists() and version.read_text() == sys.version:
        return
    say(f"creating .venv with Python {sys.version.split()[0]}")
    try:
        venv.create(VENV, with_pip=True, clear=True, symlinks=os.name != "nt")
    except subprocess.CalledProcessError:
        sys.exit("dev: this Python cannot make environments; on Debian: apt install python3-venv")
    version.write_text(sys.version)


def test(options: list[str]) -> None:
    """Run the formatter, the linters, the type checker and the tests."""
    set_up("dev")
    run("ruff", "format", "--check", ".")
    run("ruff", "check", ".")
    run("lint-imports", "--config", "setup.cfg")
    run("mypy")
    run("pytest", *options)


def up(options: list[str]) -> None:
    """Become `blackroad-nb up`, so that Ctrl-C reaches it directly."""
    set_up("lab,hub")
    program = str(BIN / "blackroad-nb")
    say("blackroad-nb up")
    os.execv(program, [program, "up", *options])  # noqa: S606


def main(arguments: list[str]) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - this file meets any Python
        sys.exit(f"dev: Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    commands = {"up": up, "test": test}
    if not arguments or arguments[0] not in commands:
        sys.exit(USAGE)
    commands[arguments[0]](arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
