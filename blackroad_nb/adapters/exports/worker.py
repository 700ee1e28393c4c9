"""The process that converts: `python -P -m blackroad_nb.adapters.exports.worker FOLDER`.

A conversion runs regular expressions over a stranger's text. In the server's process one
of them could hold the interpreter for minutes, and every kernel's messages with it; here
it can be killed. The process also keeps the converters out of the server's memory.

A message is a line of JSON and the bytes it announces, in both directions.
"""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import sys
from collections.abc import Mapping
from typing import IO, Any

from blackroad_nb.errors import BlackRoadError
from blackroad_nb.ports import Exported

Parts = list[bytes]

SPARE_SECONDS = 2.0


def send(stream: IO[bytes], header: Mapping[str, Any], parts: Parts) -> None:
    """Write one message."""
    line = json.dumps({**header, "sizes": [len(part) for part in parts]})
    stream.write(line.encode("ascii") + b"\n")
    for part in parts:
        stream.write(part)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], Parts]:
    """Read one message. Raises EOFError when the other side is gone."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    header: dict[str, Any] = json.loads(line)
    parts = [_exactly(stream, size) for size in header.pop("sizes")]
    return header, parts


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data


def _answer(request: Mapping[str, Any], parts: Parts) -> tuple[dict[str, Any], Parts]:
    from blackroad_nb.adapters.exports.rendering import convert, probe

    if request["task"] == "probe":
        return {"reason": probe(request["format"])}, []
    try:
        wanted = {key: request[key] for key in ("name", "format", "trusted", "folder")}
        exported = convert(parts[0], **wanted)
    except BlackRoadError as error:
        return {"error": type(error).__name__, "message": error.message}, []
    except Exception as error:  # a fault of ours must not look like a dead process
        said = f"The export failed for a reason of its own: {type(error).__name__}: {error}."
        return {"error": "ExportFailed", "message": " ".join(said.split())[:400]}, []
    return _packed(exported)


def _packed(exported: Exported) -> tuple[dict[str, Any], Parts]:
    header = {
        "extension": exported.extension,
        "mime_type": exported.mime_type,
        "resources": list(exported.resources),
    }
    return header, [exported.body, *exported.resources.values()]


def main() -> None:
    """Answer requests on stdin until it ends; then remove the folder for temporary files."""
    requests = sys.stdin.buffer
    # What converters print must not get between the messages.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while True:
        try:
            request, parts = receive(requests)
        except EOFError:
            shutil.rmtree(sys.argv[1], ignore_errors=True)  # whoever started us may be gone
            return
        # Whoever asked stops us in time, unless he was killed. The watchdog's thread needs no
        # interpreter lock, which a regular expression may hold; it ends this process.
        faulthandler.dump_traceback_later(request["limit_seconds"] + SPARE_SECONDS, exit=True)
        answer = _answer(request, parts)
        faulthandler.cancel_dump_traceback_later()
        send(answers, *answer)


if __name__ == "__main__":
    main()
