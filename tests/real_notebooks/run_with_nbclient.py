"""Run a notebook with nbclient, and write what it has at the end, however that came."""

from __future__ import annotations

import os
import sys

import nbformat
from nbclient import NotebookClient


def main(source: str, result: str, timeout: str) -> None:
    notebook = nbformat.read(source, as_version=4)
    place = {"metadata": {"path": os.path.dirname(source)}}
    client = NotebookClient(notebook, timeout=int(timeout), allow_errors=True, resources=place)
    try:
        client.execute()
    finally:
        nbformat.write(notebook, result)


if __name__ == "__main__":
    main(*sys.argv[1:])
