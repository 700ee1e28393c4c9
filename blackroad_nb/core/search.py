"""What a person typed, as words for the text index, and how parts of words are found.

The index makes words of letters and digits and compares whole words. Three more kinds of
text are to be found:

- a part of a word: `vocabulary` lists the words of a text, the store keeps each once, and
  a search asks for all words that hold the part,
- Chinese, Japanese and Korean, which have no spaces: each character is a word, and what
  is looked for is a phrase of them,
- symbols such as emoji: each becomes a word that tells its number.

`search_parts` gives the index the last two as words of their own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from blackroad_nb.errors import InvalidInput

INDEXED_CHARACTERS = 100_000  # of a source, and of an error; the migrations say so too
MOST_TERMS = 50  # words and phrases in one search
SHORTEST_PART = 3  # Latin letters; fewer would match nearly every row
MOST_WORDS = 200  # asked for one by one in a search; each costs the text index up to 0.1 ms

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
_MARK = re.compile("[\u0300-\u0331]")  # accents that stand for themselves


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand together.

    Attributes:
        prefix: the last word may go on.
        part: the word, a single one, may be any part of a word.
    """

    words: tuple[str, ...]
    prefix: bool = False
    part: bool = False

    @property
    def glob(self) -> str | None:
        """Return what the vocabulary is asked for; None leaves the term to the text index."""
        last = folded(self.words[-1])
        if self.part:
            return f"*{last}*"
        # The vocabulary has no numbers, and is not searched by two letters.
        known = self.prefix and len(last) >= SHORTEST_PART and not last.isdecimal()
        return f"{last}*" if known else None


def search_parts(source: str, error: str | None = None) -> str | None:
    """Return the parts of words in both texts, for the text index; None without any."""
    found: dict[str, None] = {}  # each part once
    for text in (source, error or ""):
        if not text.isascii():
            found.update(dict.fromkeys(_parts(_composed(text[:INDEXED_CHARACTERS]))))
    return _APART.join(found) or None


def _parts(text: str) -> Iterator[str]:
    yield from (_name(c) for c in text if _is_symbol(c))
    for word in _WORD.findall(text):
        runs = _RUN.findall(word)
        for run in runs:
            if _IS_UNSPACED.match(run):
                yield " ".join(run)
            elif len(runs) > 1:
                yield run


def vocabulary(texts: Iterable[str]) -> set[str]:
    """Return the words of all texts that are found by their parts, folded."""
    found: set[str] = set()
    others: set[str] = set()  # each is folded once, however often it stands there
    for text in (text[:INDEXED_CHARACTERS] for text in texts):
        if text.isascii():
            found.update(_WORD.findall(text.lower()))
        else:
            others.update(_WORD.findall(_MARK.sub("", text)))
    for word in others:
        found.update(folded(run) for run in _RUN.findall(word) if not _IS_UNSPACED.match(run))
    return {word for word in found if has_parts(word)}


def has_parts(word: str) -> bool:
    """Whether a word is found by its parts: long data and numbers are not."""
    return SHORTEST_PART < len(word) <= _LONGEST_NAME and not word.isdecimal()


def search_terms(text: str) -> tuple[Term, ...]:
    """Read what a person typed as terms that must all occur.

    Operators and punctuation only separate words; a trailing `*` makes a prefix.

    Raises:
        InvalidInput: the text holds no word or too many, or too short a prefix.
    """
    terms: list[Term] = []
    for position, piece in enumerate(_composed(text).split('"')):
        quoted = position % 2 == 1
        for phrase in [piece] if quoted else piece.split():
            words = tuple(words_of(phrase, symbols=True))
            if words:
                prefix = phrase.rstrip().endswith("*")
                part = not (quoted or prefix) and len(words) == 1
                terms.append(Term(words, prefix, part and len(folded(words[0])) >= SHORTEST_PART))
    if not terms:
        raise InvalidInput(
            "The search text holds no word; give a letter, a digit or a symbol such as an emoji."
            " Punctuation is not searched."
        )
    for term in terms:
        last = term.words[-1]
        if term.prefix and last.isascii() and len(last) < SHORTEST_PART:
            raise InvalidInput(f"Give at least {SHORTEST_PART} letters before '*', not {last!r}.")
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
                yield Term(tuple(run))
            elif _is_symbol(run[0]):
                yield Term((_name(run[0]),))
            else:
                part = term.part and len(folded(run)) >= SHORTEST_PART
                yield Term((run,), term.prefix and last and word.endswith(run), part)


@dataclass(frozen=True, slots=True)
class Known:
    """The words of the vocabulary for a term.

    Attributes:
        words: all of them; MOST_WORDS + 1 when there are more.
        inner: of a part that too many words hold, those that do not begin with it, cut
            likewise; None when `words` are all.
    """

    words: tuple[str, ...] = ()
    inner: tuple[str, ...] | None = None


def fts_expression(terms: Sequence[Term], known: Sequence[Known]) -> tuple[str, tuple[Term, ...]]:
    """Return an FTS5 expression, and the parts that it leaves to `holds`.

    A few words are asked for one by one. For more, the text index goes through all that
    begin so, which takes longer. A part that very many words hold elsewhere is in so many
    rows that the newest with it are sooner found by looking into them.

    Only letters and digits reach the expression, so nothing in it is an operator.
    Source: https://www.sqlite.org/fts5.html section 3.

    Args:
        known: the words for each term.
    """
    room = MOST_WORDS
    wanted, left = [], []
    for term, found in sorted(zip(terms, known, strict=True), key=lambda pair: len(pair[1].words)):
        beginning = folded(term.words[-1])
        inner = found.inner
        if inner is None and term.part:
            inner = tuple(word for word in found.words if not word.startswith(beginning))
        if len(found.words) <= room:
            room -= len(found.words)
            wanted.append(_alternatives(term, found.words))
        elif not term.part:
            wanted.append(_with_prefix(term))
        elif inner is not None and len(inner) <= room:
            room -= len(inner)
            wanted.append(f"({' OR '.join([_with_prefix(term), *map(_quoted, inner)])})")
        else:
            left.append(term)
    return " AND ".join(wanted), tuple(left)


def _alternatives(term: Term, known: Sequence[str]) -> str:
    if term.prefix and term.glob is None:
        return _with_prefix(term)
    *first, last = term.words
    phrases = [_quoted(" ".join((*first, word))) for word in dict.fromkeys((last, *known))]
    return phrases[0] if len(phrases) == 1 else f"({' OR '.join(phrases)})"


def _with_prefix(term: Term) -> str:
    return f"{_quoted(' '.join(term.words))} *"


def _quoted(phrase: str) -> str:
    return f'"{phrase}"'


def holds(source: str, error: str | None, part: str) -> bool:
    """Whether a source or an error has a folded part of a word."""
    return _has(source, part) or (error is not None and _has(error, part))


def _has(text: str, part: str) -> bool:
    text = text[:INDEXED_CHARACTERS]
    return part in (text.lower() if text.isascii() else folded(text))


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
    """Return the word as the text index compares it: without case, and a Latin letter with
    one accent without that accent. Other letters keep theirs.

    Source: https://www.sqlite.org/fts5.html section 4.3.1 (remove_diacritics 1).
    """
    return word.translate(_FOLDED)


class _Folding(dict[int, str]):
    """What becomes of each character; worked out when it is met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        bare = unicodedata.normalize("NFD", character)
        if len(bare) == 2 and bare[0].isascii():
            character = bare[0]
        same = character.casefold()
        found = "" if _MARK.match(character) else same if len(same) == 1 else character.lower()
        self[code] = found
        return found


_FOLDED = _Folding()


def _composed(text: str) -> str:
    """Join what some systems write as two characters: a syllable and its mark."""
    return unicodedata.normalize("NFC", text) if _DECOMPOSED.search(text) else text


def _is_symbol(character: str) -> bool:
    return not character.isascii() and unicodedata.category(character)[0] == "S"


def _name(symbol: str) -> str:
    """Return the word that stands for a symbol in the index."""
    return f"u{ord(symbol):x}"
