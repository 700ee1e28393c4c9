"""TeX's log: what stopped it, which characters it had no glyph for, whether to run again."""

from __future__ import annotations

import re
from collections.abc import Mapping

_MISSING = re.compile(r"^Missing character: There is no (.)", re.MULTILINE)
_STOPPED = re.compile(r"^! (.+)$", re.MULTILINE)
_PLACE = re.compile(r"^l\.\d+ (.*)$", re.MULTILINE)
_PACKAGE = re.compile(r"File [`'](?P<file>[\w.-]+\.(?:sty|cls|def|fd))' not found")
_FONT = re.compile(r"(?:The font|Font) [\"\\](?P<font>[^\"]{1,60}).*cannot be found|not loadable")
_AGAIN = re.compile(r"Rerun to get|Rerun LaTeX|\(re\)run LaTeX|rerunfilecheck Warning")
_LONGEST = 120  # characters of either part


def missing_characters(log: str) -> list[str]:
    """Return the characters that no font of the document has, each once, in order."""
    return list(dict.fromkeys(_MISSING.findall(log)))


def needs_another_run(log: str) -> bool:
    """Tell whether TeX asks to be run again, for references it knows only now."""
    return bool(_AGAIN.search(log))


def missing_part(log: str) -> str | None:
    """Name the package or font that this TeX installation lacks, if that stopped it."""
    stopped = _STOPPED.search(log)
    if stopped is None:
        return None
    said = log[stopped.start() : stopped.start() + 400].replace("\n", " ")
    package = _PACKAGE.search(said)
    if package:
        return package["file"]
    font = _FONT.search(said)
    return (font["font"] or "a font") if font else None


def what_stopped(log: str) -> str:
    """Say in part of a sentence what stopped TeX, and at which words."""
    stopped = _STOPPED.search(log)
    if stopped is None:
        return "it gave no reason"
    reason = stopped[1].strip().rstrip(".")[:_LONGEST]
    place = _PLACE.search(log, stopped.end())
    words = place[1].strip()[-_LONGEST:] if place else ""
    return f'{reason}, at "{words}"' if words else reason


def with_fallbacks(tex: str, fonts: Mapping[str, str | None]) -> str:
    """Return the document with other fonts for single characters, or their numbers.

    Args:
        fonts: a font family for each character; None shows its number, as in [U+1F600].
    """
    families = sorted({family for family in fonts.values() if family})
    commands = {family: f"\\fallbackfont{_letters(n)}" for n, family in enumerate(families)}
    switched = "".join(f'\\catcode"{ord(character):04X}=13 ' for character in fonts)
    lines = [
        *(f"\\newfontfamily{commands[family]}{{{family}}}" for family in families),
        *(
            _definition(character, _letters(number), commands.get(family or ""))
            for number, (character, family) in enumerate(fonts.items())
        ),
    ]
    # Active from the title on; defined where unicode-math has defined the signs it knows.
    head, title, rest = tex.partition("\\title{")
    front, start, body = rest.partition("\\begin{document}")
    return f"{head}{switched}{title}{front}{start}\n{chr(10).join(lines)}\n{body}"


def _definition(character: str, letters: str, command: str | None) -> str:
    """Make an active character, which is a command; ~ lends its being active to it."""
    code = f'"{ord(character):04X}'
    shown = f"{{{command}\\char{code} }}" if command else f"[U+{ord(character):04X}]"
    before = f"\\formula{letters}"
    return (
        f"\\begingroup\\lccode`\\~={code} "
        f"\\lowercase{{\\endgroup\\let{before}~\\protected\\def~}}{{\\ifmmode\\ifx{before}"
        f"\\undefined\\char{code} \\else{before}\\fi\\else{shown}\\fi}}"
    )


def _letters(number: int) -> str:
    """Write a number in letters, which alone make the names of TeX."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))
