"""What a person typed, as words for the text index, and parts of words for it to find.

The index makes words of letters and digits and compares whole words. Three kinds of text
would never be found so; `search_parts` gives the index their parts as words of their own:

- names in camel case: `DataFrame` is found by `Frame`,
- Chinese, Japanese and Korean, which have no spaces: each character is a word, and what
  is looked for is a phrase of them,
- symbols such as emoji: each becomes a word that tells its number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from blackroad_nb.errors import InvalidInput

INDEXED_CHARACTERS = 100_000  # of a source, and of an error; the migrations say so too
MOST_TERMS = 50  # words and phrases in one search
SHORTEST_PREFIX = 3  # Latin letters; fewer would match nearly every row

_LONGEST_NAME = 64  # longer words are data, such as base64, and no names
_APART = " \ue000 "  # a word that nobody types, so that no phrase reaches into the next part
_UNSPACED = (
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # Japanese syllables
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
    "\uac00-\ud7a3\uff66-\uff9d"  # Korean syllables, narrow Japanese
)
_RUN = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_DECOMPOSED = re.compile("[\u1100-\u11ff\u3099\u309a]")
_WORD = re.compile(r"[^\W_]+")
_LOWER, _UPPER = "a-zß-öø-ÿα-ωа-я", "A-ZÀ-ÖØ-ÞΑ-ΩА-Я"
_HUMP = re.compile(
    f"(?<=[{_LOWER}])(?=[{_UPPER}])|(?<=[{_LOWER}][0-9])(?=[{_UPPER}])"
    f"|(?<=[{_UPPER}])(?=[{_UPPER}][{_LOWER}])"
)


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand together; `prefix` frees the end of the last."""

    words: tuple[str, ...]
    prefix: bool


def search_parts(source: str, error: str | None = None) -> str | None:
    """Return the parts of words in both texts, for the text index; None without any."""
    found: dict[str, None] = {}  # each part once
    for text in (source, error or ""):
        if text.isascii() and not _HUMP.search(text):
            continue
        found.update(dict.fromkeys(_parts(text[:INDEXED_CHARACTERS])))
    return _APART.join(found) or None


def _parts(text: str) -> Iterator[str]:
    if not text.isascii():
        text = _composed(text)
        yield from (_name(c) for c in text if _is_symbol(c))
    for word in _WORD.findall(text):
        runs = [word] if word.isascii() else _RUN.findall(word)
        for run in runs:
            if _IS_UNSPACED.match(run):
                yield " ".join(run)
                continue
            humps = _HUMP.split(run) if len(run) <= _LONGEST_NAME else [run]
            if len(humps) > 1:
                yield from humps
            if len(runs) > 1:
                yield run


def search_terms(text: str) -> tuple[Term, ...]:
    """Read what a person typed as terms that must all occur.

    Operators and punctuation only separate words; a trailing `*` makes a prefix.

    Raises:
        InvalidInput: the text holds no word or too many, or too short a prefix.
    """
    terms: list[Term] = []
    for position, part in enumerate(_composed(text).split('"')):
        for phrase in [part] if position % 2 else part.split():
            words = tuple(words_of(phrase, symbols=True))
            if words:
                terms.append(Term(words, phrase.rstrip().endswith("*")))
    if not terms:
        raise InvalidInput(
            "The search text holds no word; give a letter, a digit or a symbol such as an emoji."
            " Punctuation is not searched."
        )
    for term in terms:
        last = term.words[-1]
        if term.prefix and last.isascii() and len(last) < SHORTEST_PREFIX:
            raise InvalidInput(f"Give at least {SHORTEST_PREFIX} letters before '*', not {last!r}.")
    if len(terms) > MOST_TERMS:
        raise InvalidInput(f"The search text has {len(terms)} words; {MOST_TERMS} is the most.")
    return tuple(piece for term in terms for piece in _pieces(term))


def _pieces(term: Term) -> Iterator[Term]:
    """Split a term where the index has parts instead of whole words."""
    if not any(_is_symbol(word[0]) or _IS_UNSPACED.search(word) for word in term.words):
        yield term
        return
    for position, word in enumerate(term.words):
        last = position == len(term.words) - 1
        for run in _RUN.findall(word):
            if _IS_UNSPACED.match(run):
                yield Term(tuple(run), False)
            elif _is_symbol(run[0]):
                yield Term((_name(run[0]),), False)
            else:
                yield Term((run,), term.prefix and last and word.endswith(run))


def fts_expression(text: str) -> str:
    """Turn what a person typed into an FTS5 expression that cannot be malformed.

    Only letters and digits reach the expression, so nothing in it is an operator.
    Source: https://www.sqlite.org/fts5.html section 3.

    Raises:
        InvalidInput: the text holds no word or too many, or too short a prefix.
    """
    return " AND ".join(
        f'"{" ".join(term.words)}"' + (" *" if term.prefix else "") for term in search_terms(text)
    )


def words_of(text: str, symbols: bool = False) -> Iterator[str]:
    """Split where the text index does: letters, digits and their accents make words.

    Args:
        symbols: yield each symbol beyond ASCII too, as a word of its own.

    Source: https://www.sqlite.org/fts5.html section 4.3.1 (unicode61).
    """
    word: list[str] = []
    for character in text:
        kind = unicodedata.category(character)
        if kind[0] in "LN" or kind == "Co" or (kind[0] == "M" and word):
            word.append(character)
            continue
        if word:
            yield "".join(word)
            word = []
        if symbols and _is_symbol(character):
            yield character
    if word:
        yield "".join(word)


def folded(word: str) -> str:
    """Return the word without case and accents, as the text index compares it."""
    plain = "".join(
        c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn"
    )
    return unicodedata.normalize("NFC", plain).lower()


def _composed(text: str) -> str:
    """Join what some systems write as two characters: a syllable and its mark."""
    return unicodedata.normalize("NFC", text) if _DECOMPOSED.search(text) else text


def _is_symbol(character: str) -> bool:
    return not character.isascii() and unicodedata.category(character)[0] == "S"


def _name(symbol: str) -> str:
    """Return the word that stands for a symbol in the index."""
    return f"u{ord(symbol):x}"
