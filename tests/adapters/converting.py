"""What tests of the real converters share: their notebooks, and reading the PDFs they make."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blackroad_nb.adapters.exports import NbconvertExporter
from blackroad_nb.ports import Exported

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9aw"
    "AAAABJRU5ErkJggg=="
)
PACKAGES = {
    "pandoc": "pandoc",
    "chromium": "chromium",
    "pdftotext": "poppler-utils",
    "xelatex": "texlive-xetex texlive-fonts-recommended texlive-plain-generic",
}


def need(*programs: str) -> None:
    """Skip, saying what to install; on CI only LaTeX may be missing."""
    for program in programs:
        if shutil.which(program) is None:
            message = f"{program} is not installed; on Debian: apt install {PACKAGES[program]}"
            if os.environ.get("CI") and program != "xelatex":
                pytest.fail(message)
            pytest.skip(message)


def convert(
    exporter: NbconvertExporter, content: dict[str, Any], format: str, trusted: bool = False
) -> Exported:
    return asyncio.run(exporter.export(json.dumps(content).encode(), "Report", format, trusted))


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    for number, cell in enumerate(cells):
        cell["id"] = f"c{number}"
    language = {"name": "python", "file_extension": ".py", "pygments_lexer": "ipython3"}
    metadata = {"language_info": language}
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def markdown(source: str, **more: Any) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source, **more}


def raw(source: str, **metadata: str) -> dict[str, Any]:
    return {"cell_type": "raw", "metadata": metadata, "source": source}


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    base = {"cell_type": "code", "execution_count": 1, "metadata": {}}
    return {**base, "source": source, "outputs": list(outputs)}


def shows(**data: str) -> dict[str, Any]:
    kinds = {name.replace("_", "/"): value for name, value in data.items()}
    return {"output_type": "display_data", "data": kinds, "metadata": {}}


def prints(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def rich() -> dict[str, Any]:
    """What people put into notebooks."""
    return notebook(
        markdown(
            "# Gr\xf6\xdfe \u2264 \u2713 \U0001f600 \u65e5\n\n"
            "| a | b |\n|---|--:|\n| x_y | $\\beta$ |"
        ),
        markdown("$$\\begin{align}a&=b\\\\c&=d\\end{align}$$\n\n\\begin{align}e&=f\\end{align}"),
        markdown("![drawn](attachment:p.png)", attachments={"p.png": {"image/png": PIXEL}}),
        markdown("[go](#Gr\xf6\xdfe) 50% & #1 ~x~ \\$5 <b>bold</b> ![gone](other.png)"),
        code(
            "y = " + "+".join(f"name_{n}" for n in range(60)) + "  # last", prints("*a \x1b[31mred")
        ),
        code("plot()", shows(image_png=PIXEL, text_plain="Figure")),
        code("sympy", shows(text_latex="$\\displaystyle x^{2}$", text_plain="x**2")),
        code("table", shows(text_html="<table><tr><td>cell-1</td></tr></table>", text_plain="t")),
        code("said", shows(text_markdown="**loud**", text_plain="m")),
    )


# reading PDF ---------------------------------------------------------------------------------
def text_of(body: bytes, folder: Path) -> str:
    assert body.startswith(b"%PDF")
    (folder / "read.pdf").write_bytes(body)
    command = ["pdftotext", "-layout", "read.pdf", "-"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout.decode()


def streams_of(body: bytes) -> Iterator[bytes]:
    """Yield what the PDF holds, unpacked where it is packed."""
    yield body
    for start in re.finditer(rb"stream\r?\n", body):
        try:
            yield zlib.decompressobj().decompress(body[start.end() :])
        except zlib.error:
            continue  # not packed: it is in the body as it is


def pictures_of(body: bytes) -> int:
    return sum(len(re.findall(rb"/Subtype ?/Image", stream)) for stream in streams_of(body))
