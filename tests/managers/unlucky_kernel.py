"""A kernel whose port for IOPub is taken at its first start, so that it hangs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

NAME = "unlucky"
_PROGRAM = """
import json, pathlib, subprocess, sys
tries = pathlib.Path({tries!r})
first = not tries.exists()
tries.write_text("x" if first else tries.read_text() + "x")
if first:
    port = json.load(open(sys.argv[2]))["iopub_port"]
    code = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); "
    code += "print('taken', flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, str(port)]
    other = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
    other.stdout.readline()
from ipykernel import kernelapp
kernelapp.launch_new_instance()
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Add its kernelspec for one test; return the file that has an `x` for each start."""
    place, tries = folder / "jupyter" / "kernels" / NAME, folder / "tries"
    place.mkdir(parents=True)
    program = folder / "unlucky.py"
    program.write_text(_PROGRAM.format(tries=str(tries)))
    argv = [sys.executable, str(program), "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Unlucky", "language": "python"}
    (place / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
    return tries
