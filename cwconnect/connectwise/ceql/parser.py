"""CEQL, the language of `where` (docs/wire-contract.md#3-ceql-the-language-of-where), read into the tree of `where.py`.

`=  !=  <  >  <=  >=  LIKE  IN (…)  IS NULL  IS NOT NULL`, `NOT` before the words and before parentheses, `AND` before
`OR`, parentheses. Keywords in any case, spaces around operators optional. A literal that holds a `${…}` template is, as
a whole, the instant that the caller gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from cwconnect.connectwise.ceql.tree import (
    And,
    Boolean,
    Comparison,
    Instant,
    Literal,
    Node,
    Null,
    Number,
    Or,
    Text,
    WhereError,
    Word,
    negate,
)
from cwconnect.connectwise.java_dates.templates import Template, split_templates

LONGEST: Final = 20_000
DEEPEST: Final = 50

_SPACE: Final = re.compile(r"\s*")
_NAME: Final = re.compile(r"[^\W\d][\w./]*")
_OPERATOR: Final = re.compile(r"<=|>=|!=|<>|=|<|>")
_WORD: Final = re.compile(r"[^\W\d]\w*")
_NUMBER: Final = re.compile(r"[+-]?(0|[1-9]\d{0,30})(\.\d{1,30})?", re.ASCII)
# A bare date may have a space before its time, though a space ends any other bare word.
_SPACED_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d[^\s),]*", re.ASCII)
_BARE: Final = re.compile(r"(?![=<>!(])[^\s)]+")
_BARE_IN_LIST: Final = re.compile(r"(?![=<>!(])[^\s),]+")
_SPELLINGS: Final = {"<>": "!="}


def parse_where(text: str, *, instant: datetime | None = None) -> Node:
    """Read a `where`. `instant` (aware) is what `${…}` templates stand for.

    Raises `WhereError` for what is no CEQL, is longer than 20,000 characters, is nested deeper than 50, holds a bad
    template, or holds a good one while `instant` is None.
    """
    if len(text) > LONGEST:
        raise WhereError(f"it has {len(text)} characters; {LONGEST} is the most.")
    if instant is not None and instant.tzinfo is None:
        raise WhereError("the instant of its templates has no zone.")
    try:
        templates = _spans(split_templates(text))
    except ValueError as error:
        raise WhereError(str(error)) from None
    return _Parser(text, templates, instant.astimezone(UTC) if instant else None).parse()


def _spans(parts: list[str | Template]) -> dict[int, int]:
    """Map the start of each template to its end."""
    spans = {}
    position = 0
    for part in parts:
        source = part if isinstance(part, str) else part.source
        if isinstance(part, Template):
            spans[position] = position + len(source)
        position += len(source)
    return spans


class _Parser:
    """Reads one text from left to right by recursive descent, at most `DEEPEST` deep."""

    def __init__(self, text: str, templates: dict[int, int], instant: datetime | None) -> None:
        self._text = text
        self._templates = templates
        self._instant = instant
        self._position = 0
        self._depth = 0

    def parse(self) -> Node:
        node = self._or()
        self._take(_SPACE)
        if self._position < len(self._text):
            raise self._error("AND, OR or the end")
        return node

    # Grammar

    def _or(self) -> Node:
        return self._joined("or", Or, self._and)

    def _and(self) -> Node:
        return self._joined("and", And, self._term)

    def _joined(self, word: str, kind: type[And] | type[Or], part: Callable[[], Node]) -> Node:
        parts = [part()]
        while self._keyword(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else kind(tuple(parts))

    def _term(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise WhereError(f"it is nested deeper than {DEEPEST} levels.")
        if self._keyword("not"):
            node = negate(self._term())
        elif self._symbol("("):
            node = self._or()
            self._expect(")")
        else:
            node = self._comparison()
        self._depth -= 1
        return node

    def _comparison(self) -> Comparison:
        field = self._field()
        if match := self._spaced(_OPERATOR):
            return _compared(field, _SPELLINGS.get(match[0], match[0]), self._literal())
        if self._keyword("is"):
            operator = "IS NOT NULL" if self._keyword("not") else "IS NULL"
            if not self._keyword("null"):
                raise self._error("NULL")
            return Comparison(field, operator, Null())
        prefix = "NOT " if self._keyword("not") else ""
        if self._keyword("like"):
            return _compared(field, f"{prefix}LIKE", self._literal())
        if self._keyword("in"):
            return Comparison(field, f"{prefix}IN", self._list())
        raise self._error("an operator (= != < > <= >= LIKE IN IS)")

    def _field(self) -> str:
        if self._symbol("`"):
            end = self._text.find("`", self._position)
            name = self._text[self._position : end].strip()
            if end < 0 or not name:
                raise self._error("a name that ends in a backtick")
            self._position = end + 1
            return name
        match = self._spaced(_NAME)
        if match is None or match[0].lower() in ("and", "or"):
            self._position = match.start() if match else self._position
            raise self._error("the name of a field")
        return match[0]

    def _list(self) -> tuple[Literal, ...]:
        self._expect("(")
        values = [self._literal(_BARE_IN_LIST)]
        while self._symbol(","):
            values.append(self._literal(_BARE_IN_LIST))
        self._expect(")")
        if Null() in values:
            raise WhereError("NULL can't stand in the list of an IN; write IS NULL.")
        return tuple(values)

    # Literals

    def _literal(self, bare: re.Pattern[str] = _BARE) -> Literal:
        self._take(_SPACE)
        quote = self._text[self._position : self._position + 1]
        if quote in ("'", '"'):
            return self._quoted(quote)
        return self._unquoted(bare)

    def _quoted(self, quote: str) -> Literal:
        """Read `'…'`, in which `''` is one quote, or `"…"` likewise; templates are stepped over whole."""
        start = self._position
        pieces: list[str] = []
        templated = False
        self._position += 1
        while self._position < len(self._text):
            if end := self._templates.get(self._position):
                self._position, templated = end, True
            elif self._text[self._position] != quote:
                pieces.append(self._text[self._position])
                self._position += 1
            elif self._text.startswith(quote * 2, self._position):
                pieces.append(quote)
                self._position += 2
            else:
                self._position += 1
                return self._instant_literal() if templated else Text("".join(pieces))
        self._position = start
        raise self._error("a text that ends in its quote")

    def _unquoted(self, bare: re.Pattern[str]) -> Literal:
        start = self._position
        templated = False
        while match := self._bare_piece(bare, first=self._position == start):
            templated = templated or (match > self._position and self._position in self._templates)
            self._position = match
        if templated:
            return self._instant_literal()
        if self._position == start:
            raise self._error("a value")
        return _typed(self._text[start : self._position])

    def _bare_piece(self, bare: re.Pattern[str], *, first: bool) -> int | None:
        """Find the end of the next piece of a bare word: a template, or text up to the next template."""
        if end := self._templates.get(self._position):
            return end
        match = (first and _SPACED_DATE.match(self._text, self._position)) or bare.match(self._text, self._position)
        if not match:
            return None
        return min([match.end(), *(start for start in self._templates if self._position < start < match.end())])

    def _instant_literal(self) -> Instant:
        if self._instant is None:
            raise WhereError("it holds a ${…} template, and no poll time is known here.")
        return Instant(self._instant)

    # Characters

    def _take(self, regex: re.Pattern[str]) -> re.Match[str] | None:
        match = regex.match(self._text, self._position)
        if match:
            self._position = match.end()
        return match

    def _spaced(self, regex: re.Pattern[str]) -> re.Match[str] | None:
        self._take(_SPACE)
        return self._take(regex)

    def _symbol(self, symbol: str) -> bool:
        self._take(_SPACE)
        found = self._text.startswith(symbol, self._position)
        self._position += len(symbol) if found else 0
        return found

    def _keyword(self, word: str) -> bool:
        self._take(_SPACE)
        match = _WORD.match(self._text, self._position)
        if match is None or match[0].lower() != word:
            return False
        self._position = match.end()
        return True

    def _expect(self, symbol: str) -> None:
        if not self._symbol(symbol):
            raise self._error(f"{symbol!r}")

    def _error(self, wanted: str) -> WhereError:
        found = self._text[self._position : self._position + 30]
        place = f"{found!r} at character {self._position + 1}" if found else "the end"
        return WhereError(f"{wanted} was expected, not {place}.")


def _compared(field: str, operator: str, value: Literal) -> Comparison:
    """Make a comparison; `= null` and `!= null` mean IS NULL and IS NOT NULL."""
    if not isinstance(value, Null):
        return Comparison(field, operator, value)
    if operator not in ("=", "!="):
        raise WhereError(f"{field} can't be compared with NULL by {operator}.")
    return Comparison(field, "IS NULL" if operator == "=" else "IS NOT NULL", value)


def _typed(word: str) -> Literal:
    """Return a bare word the type of its form."""
    if word.lower() == "null":
        return Null()
    if word.lower() in ("true", "false"):
        return Boolean(word.lower() == "true")
    return Number(Decimal(word)) if _NUMBER.fullmatch(word) else Word(word)
