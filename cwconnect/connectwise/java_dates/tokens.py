"""The parts of a SimpleDateFormat pattern: runs of letters, and literal text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

LETTERS: Final = frozenset("GyYMLdEuDFwWaHkKhmsSzZX")
_NUMERIC: Final = frozenset("yYdDFwWuHkKhmsS")
_LONGEST: Final = 400


class PatternError(ValueError):
    """A pattern that is not Java's, or a text that it does not read; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Token:
    """A run of one pattern letter; or literal text, and then `letter` is empty.

    `abutting`: the digits of another field follow at once, so that this one takes exactly `count` of them.
    """

    letter: str
    count: int = 0
    literal: str = ""
    abutting: bool = False

    @property
    def numeric(self) -> bool:
        """Whether the field is written in digits alone."""
        return self.letter in _NUMERIC or (self.letter in ("M", "L") and self.count <= 2)


def tokenize(text: str) -> tuple[Token, ...]:
    """Cut a pattern into its parts. Raises `PatternError` that names the letter or the quote at fault."""
    if not text:
        raise PatternError("A date pattern must not be empty.")
    if len(text) > _LONGEST:
        raise PatternError(f"A date pattern has {_LONGEST} characters at most; this one has {len(text)}.")
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        token, position = _next(text, position)
        if tokens and token.literal and tokens[-1].literal:
            token = Token("", literal=tokens.pop().literal + token.literal)
        tokens.append(token)
    return _mark_abutting(tokens)


def _next(text: str, position: int) -> tuple[Token, int]:
    letter = text[position]
    if letter == "'":
        return _quoted(text, position)
    if not (letter.isascii() and letter.isalpha()):
        return Token("", literal=letter), position + 1
    end = position
    while end < len(text) and text[end] == letter:
        end += 1
    return _field(text, letter, end - position), end


def _quoted(text: str, start: int) -> tuple[Token, int]:
    """Read `'text'`, in which `''` is one quote; `''` outside is one quote too."""
    if text.startswith("''", start):
        return Token("", literal="'"), start + 2
    literal = ""
    position = start + 1
    while (end := text.find("'", position)) >= 0:
        literal += text[position:end]
        if not text.startswith("''", end):
            return Token("", literal=literal), end + 1
        literal += "'"
        position = end + 2
    raise PatternError(f"The quote at character {start + 1} of the date pattern {text!r} is not closed.")


def _field(text: str, letter: str, count: int) -> Token:
    if letter not in LETTERS:
        raise PatternError(
            f"The letter {letter!r} means nothing in a date pattern: {text!r}. Put plain text in quotes."
        )
    if letter == "X" and count > 3:
        raise PatternError(f"A date pattern has X, XX or XXX, never {'X' * count}: {text!r}.")
    return Token(letter, count)


def _mark_abutting(tokens: list[Token]) -> tuple[Token, ...]:
    following = [*tokens[1:], Token("")]
    return tuple(
        replace(token, abutting=True) if token.numeric and after.numeric else token
        for token, after in zip(tokens, following, strict=True)
    )
