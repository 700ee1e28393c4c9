"""The rules of a safe export, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from blackroad_nb.core.export import (
    ATTRIBUTES,
    DROPPED_WITH_CONTENT,
    MATH_TAGS,
    STYLES,
    TAGS,
    assumed_language,
    check_resource,
    checked_attribute,
    checked_language,
    default_file_name,
    file_stem,
    picture_type,
    reduce_notebook,
    resource_folder,
    shows_something,
)
from blackroad_nb.errors import InvalidInput


@pytest.mark.parametrize(
    ("tag", "attribute", "value", "kept"),
    [
        ("a", "href", "https://example.com/a?b#c", True),
        ("a", "href", "HTTP://example.com", True),
        ("a", "href", "mailto:a@example.com", True),
        ("a", "href", "#section", True),
        ("a", "href", "javascript:x", False),
        ("a", "href", "data:text/html,x", False),
        ("a", "href", "/api/shutdown", False),
        ("a", "href", "other.html", False),
        ("a", "href", "//example.com", False),
        ("img", "src", "data:image/png;base64,AA==", True),
        ("img", "src", "data:image/svg+xml;base64,AA==", True),
        ("img", "src", 'data:image/png;base64,AA==" onerror=x', False),
        ("img", "src", "data:text/html;base64,AA==", False),
        ("img", "src", "https://example.com/a.png", False),
        ("img", "src", "/logout", False),
        ("audio", "src", "data:audio/wav;base64,AA==", True),
        ("audio", "src", "data:image/png;base64,AA==", False),
        ("video", "src", "https://example.com/a.mp4", False),
        ("source", "type", "audio/ogg", True),
        ("source", "type", "text/html", False),
        ("b", "style", "color: red", True),
        ("b", "style", "background-color: url(x)", False),
        ("b", "style", "color: \\75rl(x)", False),
        ("b", "class", "anything", True),
        ("div", "data-mime-type", "application/vnd.jupyter.stderr", True),
        ("div", "data-mime-type", "text/html", False),
    ],
)
def test_which_attribute_values_stay(tag: str, attribute: str, value: str, kept: bool) -> None:
    assert checked_attribute(tag, attribute, value) == (value if kept else None)


def test_the_lists_hold_nothing_that_runs_fetches_or_covers() -> None:
    assert not TAGS & DROPPED_WITH_CONTENT
    assert not TAGS & {"svg", "form", "button", "base", "meta", "link", "body", "html", "map"}
    assert not MATH_TAGS & {"maction", "semantics", "mglyph", "malignmark", "annotation-xml"}
    assert {tag for tag in ATTRIBUTES if tag != "*"} <= TAGS
    every = {name for names in ATTRIBUTES.values() for name in names}
    assert not [name for name in every if name.startswith("on")]
    assert not every & {"srcset", "srcdoc", "action", "formaction", "poster", "background", "ping"}
    assert not STYLES & {"position", "z-index", "background", "content", "cursor", "transform"}


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("", False),
        ("<div> \n</div>", False),
        ("<div>x</div>", True),
        ('<img src="data:">', True),
        ("<table></table>", True),
        ("&lt;b&gt;", True),
    ],
)
def test_what_counts_as_something_to_see(html: str, shown: bool) -> None:
    assert shows_something(html) is shown


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"", None),
    ],
)
def test_a_picture_is_known_by_its_content(content: bytes, kind: str | None) -> None:
    assert picture_type(content) == kind


@pytest.mark.parametrize(
    ("language", "checked"),
    [
        (None, {}),
        ([], {}),
        ({"name": "python"}, {"name": "python"}),
        (
            {"name": "C++17", "mimetype": "text/x-c++src"},
            {"name": "C++17", "mimetype": "text/x-c++src"},
        ),
        ({"name": "<b>", "pygments_lexer": "python"}, {}),
        ({"name": "r", "file_extension": "/../r"}, {"name": "r"}),
        ({"name": "r", "file_extension": ".r\n"}, {"name": "r"}),
        ({"name": "r", "mimetype": "text/x\r\nA: b"}, {"name": "r"}),
        ({"name": "p", "nbconvert_exporter": "os.path"}, {"name": "p"}),
        ({"name": "p", "nbconvert_exporter": "html"}, {"name": "p"}),
        (
            {"name": "p", "nbconvert_exporter": "python"},
            {"name": "p", "nbconvert_exporter": "python"},
        ),
        ({"name": 3, "file_extension": 4}, {}),
    ],
)
def test_what_stays_of_a_language(language: object, checked: dict[str, str]) -> None:
    assert checked_language(language) == checked


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"kernelspec": {"name": "python3", "display_name": "python3"}}, "python"),
        ({"kernelspec": {"name": "mine", "language": "python"}}, "python"),
        ({"kernelspec": {"name": "python3", "language": "julia"}}, None),
        ({"kernelspec": {"name": "ir"}}, None),
        ({"kernelspec": "python3"}, None),
        ({"kernelspec": {"name": "python3"}, "language_info": {"name": "R"}}, None),
        ({}, None),
    ],
)
def test_the_language_of_a_notebook_that_never_ran(
    metadata: dict[str, Any], name: str | None
) -> None:
    assumed = assumed_language(metadata)
    assert (assumed and assumed["name"]) == name


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Report", "Report"),
        ("my report", "my_report"),
        ("../../etc/passwd", "etc_passwd"),
        (".hidden", "hidden"),
        ("..", "notebook"),
        ("", "notebook"),
        ("a\0b\nc", "a_b_c"),
        ("Übung 1", "Übung_1"),
        ("x" * 300, "x" * 100),
    ],
)
def test_how_a_name_becomes_a_file_name(name: str, stem: str) -> None:
    assert file_stem(name) == stem
    assert resource_folder(name) == f"{stem}_files"


@pytest.mark.parametrize("name", ["a/b.png", "a_files/b c.png"])
def test_a_resource_is_a_file_in_a_folder(name: str) -> None:
    assert check_resource(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "a", "/a", "a/", "../a", "a/..", "a/../b", "a/b/c", "a\\..\\b", "./a", "a/\0", "a/. "],
)
def test_a_resource_is_nothing_else(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_resource(name)


def test_an_exported_notebook_gets_a_name_of_its_own() -> None:
    assert default_file_name("a", ".ipynb") == "a-export.ipynb"
    assert default_file_name("a", ".slides.html") == "a.slides.html"


def _reduced(cell: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": [cell]}
    return reduce_notebook(notebook)


def _displayed(data: dict[str, Any], metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    output = {"output_type": "display_data", "data": data, "metadata": metadata or {}}
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": "1",
        "execution_count": 1,
        "outputs": [output],
    }
    reduced: dict[str, Any] = _reduced(cell)["cells"][0]["outputs"][0]
    assert output["data"] is data  # the given notebook stays as it is
    return reduced


def test_outputs_keep_only_what_a_still_page_shows() -> None:
    kept = {"text/plain": "x", "image/png": "AA=="}
    assert _displayed({**kept, "application/javascript": "y", "a/b": 1})["data"] == kept
    assert _displayed({"text/vnd.mermaid": "graph"})["data"] == {
        "text/plain": "[Left out of this safe export: text/vnd.mermaid. A trusted export shows it.]"
    }


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"width": 10, "height": 2.5}, {"width": 10, "height": 2.5}),
        ({"width": "10 onload=x"}, {}),
        ({"width": True, "height": -1}, {}),
        ({"needs_background": "dark", "unconfined": "x"}, {"needs_background": "dark"}),
        ({"needs_background": '"><script>'}, {}),
        ("text", {}),
    ],
)
def test_an_image_keeps_a_size_that_is_a_number(given: Any, kept: dict[str, Any]) -> None:
    reduced = _displayed({"image/png": "A"}, {"image/png": given, "filename": "../x"})
    assert reduced["metadata"] == {"image/png": kept}


def test_metadata_is_rebuilt_from_checked_parts() -> None:
    cell = {
        "cell_type": "markdown",
        "id": "a",
        "source": "x",
        "metadata": {
            "tags": ["good", "good", 'bad" onclick="x', 3],
            "slideshow": {"slide_type": "slide", "data": {"x onclick": "y"}},
            "secret": "kept to myself",
        },
        "attachments": {"a.png": {"image/png": "A", "text/html": "B"}, "b": {"text/html": "C"}},
    }
    reduced = _reduced(cell, title="T", widgets={"x": 1}, authors=[], kernelspec={"name": "k"})
    assert reduced["metadata"] == {"title": "T"}
    assert reduced["cells"] == [
        {
            "cell_type": "markdown",
            "id": "a",
            "source": "x",
            "metadata": {"tags": ["good"], "slideshow": {"slide_type": "slide"}},
            "attachments": {"a.png": {"image/png": "A"}},
        }
    ]
