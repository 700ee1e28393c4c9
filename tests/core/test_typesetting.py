"""What may reach TeX, what it may not, and what is read in its log."""

from __future__ import annotations

from typing import Any

import pytest

from blackroad_nb.core.tex_log import (
    missing_characters,
    missing_part,
    needs_another_run,
    what_stopped,
    with_fallbacks,
)
from blackroad_nb.core.typesetting import (
    display,
    formula_output,
    is_formula,
    still_tree,
    with_formulas,
)

KNOWN = frozenset({"frac", "alpha", "text", "begin", "end", "def", "verb", "label"})


def known(tex: str) -> bool:
    return is_formula(tex, KNOWN)


@pytest.mark.parametrize(
    "tex",
    [
        "x",
        r"\frac{\alpha}{2}",
        "a\\\\b",
        r"\text{input}",
        r"\\input",  # a new line, and a word
        r"\begin{align*}a&=b\\c\end{align*}",
        r"\{\alpha\}\,\%",
        "a\n\tb",
    ],
)
def test_formulas_of_known_commands_stay(tex: str) -> None:
    assert known(tex)


@pytest.mark.parametrize(
    "tex",
    [
        r"\input{/etc/passwd}",
        r"\text{\input{/etc/passwd}}",
        r"\special{pdf:fstream @x (/etc/passwd)}",
        r"\\\input{x}",
        "^^5cinput{/etc/passwd}",
        "\\alpha@\\input",
        r"\begin{VerbatimOut}{/tmp/x}\end{VerbatimOut}",
        r"\begin{input}{/etc/passwd}",
        r"\begin{\alpha}\end{\alpha}",
        r"\begin\alpha",
        r"\def\x{}",
        r"\verb|x|",
        "\\in\x00put",
        "x\x7f",
        "x" * 20_001,
    ],
)
def test_whatever_else_is_no_formula(tex: str) -> None:
    assert not known(tex)


@pytest.mark.parametrize(
    ("tex", "block", "shown"),
    [
        ("x", False, r"\(x\)"),
        (" x ", True, r"\[x\]"),
        (r"\begin{align}a\end{align}", True, r"\begin{align}a\end{align}"),
        (r"\begin{align}a\end{align} b", True, r"\[\begin{align}a\end{align} b\]"),
        (r"\begin{cases}a\end{cases}", True, r"\[\begin{cases}a\end{cases}\]"),
        ("a\n \n\nb", True, "\\[a\nb\\]"),
    ],
)
def test_formulas_are_written_as_latex_wants_them(tex: str, block: bool, shown: str) -> None:
    assert display(tex, block) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"$\displaystyle x$", None),  # not among the known here
        (r"$\alpha$", r"\(\alpha\)"),
        (r" $$\alpha$$ ", r"\[\alpha\]"),
        (r"\[\alpha\]", r"\[\alpha\]"),
        (r"\begin{matrix}1\end{matrix}", r"\[\begin{matrix}1\end{matrix}\]"),
        (r"\begin{tabular}{l}1\end{tabular}", None),
        (r"\alpha", None),
        ("$$", None),
        ("", None),
        (r"$a$ \input{x} $b$", None),
    ],
)
def test_a_latex_output_stays_when_it_is_a_formula(text: str, shown: str | None) -> None:
    assert formula_output(text, known) == shown


# pandoc's document ---------------------------------------------------------------------
def stilled(inline: dict[str, Any], trusted: bool = False, pictures: tuple[str, ...] = ()) -> Any:
    tree = {"pandoc-api-version": [1], "meta": {"x": 1}, "blocks": [{"t": "Para", "c": [inline]}]}
    done = still_tree(tree, pictures, None if trusted else known)
    assert done["meta"] == {}
    return done["blocks"][0]["c"][0]


def math(tex: str) -> dict[str, Any]:
    return {"t": "Math", "c": [{"t": "InlineMath"}, tex]}


def image(target: str, *pairs: list[str]) -> dict[str, Any]:
    words = [{"t": "Str", "c": "words"}]
    return {"t": "Image", "c": [["", [], list(pairs)], words, [target, "fig:"]]}


def test_a_strangers_tex_is_shown_and_ones_own_is_run() -> None:
    evil = r"\input{x}"
    assert stilled(math(r"\alpha")) == {"t": "RawInline", "c": ["latex", r"\(\alpha\)"]}
    assert stilled(math(evil)) == {"t": "Code", "c": [["", [], []], evil]}
    assert stilled(math(evil), trusted=True)["t"] == "RawInline"
    raw = {"t": "RawInline", "c": ["tex", evil]}
    assert stilled(raw) == {"t": "Code", "c": [["", [], []], evil]}
    assert stilled(raw, trusted=True) == raw
    block = {"t": "RawBlock", "c": ["latex", evil]}
    assert stilled(block) == {"t": "CodeBlock", "c": [["", [], []], evil]}
    reference = {"t": "RawInline", "c": ["tex", r"\eqref{eq:a}"]}
    assert stilled(reference) == reference


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    "target",
    ["/etc/x.png", "../x.png", "x_files/../../x.png", "http://x.test/a.png", "a$b.png", "a.gif"],
)
def test_a_picture_that_is_not_the_notebooks_is_described(target: str, trusted: bool) -> None:
    own = ("a$b.png", "a.gif", "x_files/a b.png")  # of these no name or kind is TeX's
    assert stilled(image(target), trusted, own)["t"] == "Span"
    assert stilled(image("x_files/a%20b.png"), trusted, own)["t"] == "Image"


def test_attributes_are_sizes_classes_and_names_only() -> None:
    wanted = ["width", "50%"]
    given = image("a.png", wanted, ["height", r"1}\input{x"], ["style", "x"])
    given["c"][0][0] = r"a}\input{x}"
    given["c"][0][1] = ["python", "a}b"]
    assert stilled(given, pictures=("a.png",))["c"][0] == ["", ["python"], [wanted]]


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("https://example.org/?a_b", "Link"),
        ("mailto:a@example.org", "Link"),
        ("run:/bin/sh", "Span"),  # which a PDF reader starts
        ("file:///etc/passwd", "Span"),
        ("javascript:x", "Span"),
        ("other.ipynb", "Span"),
    ],
)
def test_links_lead_to_the_web(target: str, kind: str) -> None:
    assert stilled({"t": "Link", "c": [["", [], []], [], [target, ""]]})["t"] == kind


def test_links_to_headings_are_written_as_pandoc_names_them() -> None:
    link = {"t": "Link", "c": [["", [], []], [], ["#My-Part!", ""]]}
    assert stilled(link)["c"][2][0] == "#my-part"


def test_citations_become_their_words() -> None:
    words = [{"t": "Str", "c": "@you"}]
    cited = stilled({"t": "Cite", "c": [[{"citationPrefix": []}], words]})
    assert cited == {"t": "Span", "c": [["", [], []], words]}


def test_tex_between_the_lines_is_a_formula_in_other_formats() -> None:
    align = r"\begin{align}a\end{align}"
    block = with_formulas([{"t": "RawBlock", "c": ["tex", align]}])[0]
    assert block == {"t": "Para", "c": [{"t": "Math", "c": [{"t": "DisplayMath"}, align]}]}
    assert with_formulas({"t": "RawInline", "c": ["tex", r"\x"]})["t"] == "Code"
    html = {"t": "RawBlock", "c": ["html", "<b>"]}
    assert with_formulas(html) == html


# the log ---------------------------------------------------------------------------------
LOG = """This is XeTeX
Missing character: There is no \N{GREEK SMALL LETTER ALPHA} (U+03B1) in font x!
Missing character: There is no \N{GREEK SMALL LETTER ALPHA} in font [y]!
! Undefined control sequence.
<recently read> \\oops

l.412 \\(a + \\oops
                 b\\)
"""


def test_the_log_says_what_stopped_it_and_where() -> None:
    assert what_stopped(LOG) == 'Undefined control sequence, at "\\(a + \\oops"'
    assert what_stopped("") == "it gave no reason"
    assert len(what_stopped(f"! {'x' * 500}\nl.1 {'y' * 500}\n")) < 300
    assert missing_part(LOG) is None


def test_the_log_names_what_is_not_installed() -> None:
    assert missing_part("! LaTeX Error: File `tcolorbox.sty' not found.\n") == "tcolorbox.sty"
    font = '! Package fontspec Error: The font "Latin Modern Math" cannot be found.\n'
    assert missing_part(font) == "Latin Modern Math"
    assert missing_part("! LaTeX Error: File `picture.png' not found.\n") is None
    assert missing_part("all is well, File `tcolorbox.sty' not found") is None


def test_another_run_is_asked_for_in_words() -> None:
    assert needs_another_run("LaTeX Warning: Label(s) may have changed. Rerun to get it right.")
    assert not needs_another_run("Package: rerunfilecheck 2022-07-10 v1.10 Rerun checks")


def test_characters_without_a_glyph_get_a_font_or_their_number() -> None:
    assert missing_characters(LOG) == ["\N{GREEK SMALL LETTER ALPHA}"]
    tex = "\\title{a}\n\\begin{document}\nbody \\begin{document}"
    done = with_fallbacks(tex, {"\u2264": "DejaVu Sans", "\U0001f600": None})
    assert done.startswith('\\catcode"2264=13 \\catcode"1F600=13 \\title{a}')
    assert "\\newfontfamily\\fallbackfonta{DejaVu Sans}" in done
    assert '{\\fallbackfonta\\char"2264 }' in done
    assert "[U+1F600]" in done
    assert done.index("\\begin{document}") < done.index("\\newfontfamily") < done.index("body")
