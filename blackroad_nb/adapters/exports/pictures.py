"""Pictures that lie next to a notebook, put into its page.

A stranger's notebook decides which files it names, so nothing outside the notebook's
own folder is read, and no file that is not a picture by its content.
"""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from urllib.parse import unquote, urlsplit

from blackroad_nb.core.export import checked_attribute, picture_left_out, picture_type

_LARGEST = 10_000_000  # bytes of one picture
_MOST = 50_000_000  # bytes of all pictures of an export


class Pictures:
    """Answers what becomes of the images that a page names.

    Args:
        folder: the notebook's folder; None when no file may be read.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = None if folder is None else Path(folder).resolve()
        self._spare = _MOST

    def source(self, named: str) -> str:
        """Return the picture as a `data:` URL, or a text that says why it is left out."""
        if kept := checked_attribute("img", "src", named):
            return kept
        path = self._path(named)
        if path is None:
            return picture_left_out(named, "which is not in the notebook's folder")
        try:
            content = _content(path)
        except OSError as error:
            return picture_left_out(named, f"which cannot be read ({error.strerror})")
        if len(content) > _LARGEST:
            return picture_left_out(named, f"which is too large ({_LARGEST // 1_000_000} MB each)")
        if len(content) > self._spare:
            most = f"{_MOST // 1_000_000} MB"
            return picture_left_out(named, f"which is one too many ({most} of pictures in a page)")
        kind = picture_type(content)
        if kind is None:
            return picture_left_out(named, "which is no PNG, JPEG, GIF or WebP picture")
        self._spare -= len(content)
        return f"data:{kind};base64,{b64encode(content).decode()}"

    def _path(self, named: str) -> Path | None:
        """Return the file when it lies in the folder or below, and in no hidden one."""
        parts = urlsplit(named)
        if self._folder is None or parts.scheme or parts.netloc:
            return None
        try:
            path = (self._folder / unquote(parts.path)).resolve()
            within = path.relative_to(self._folder).parts
            hidden = any(part.startswith(".") for part in within)
            return path if path.is_file() and not hidden else None
        except (OSError, ValueError):
            return None


def _content(path: Path) -> bytes:
    """Return what a file holds, and no more than tells that it is too large."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        return file.read(_LARGEST + 1)
