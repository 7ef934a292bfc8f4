"""ConnectWise's `conditions` read into one closure.

    condition  := all ("or" all)*            all := term ("and" term)*
    term       := ["not"] ( "(" condition ")" | comparison )
    comparison := name sign literal | name ["not"] ("like" | "contains") text | name ["not"] "in" "(" literal, … ")"

Signs are `= != < <= > >=`, words stand in any case, text in either quotes (a quote inside is doubled or follows a
backslash), dates in brackets. A name that no record of the list has is refused as ConnectWise refuses it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from cwconnect.sandbox import predicates
from cwconnect.sandbox.errors import bad_condition, unknown_name
from cwconnect.sandbox.names import Field
from cwconnect.sandbox.predicates import Load, Predicate, Value
from cwconnect.sandbox.timestamps import read_literal

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>"(?:\\"|""|[^"])*"|'(?:\\'|''|[^'])*')
  | (?P<date>\[[^\]]*\])
  | (?P<number>-?\d+(?:\.\d+)?)(?![\w/])
  | (?P<sign><=|>=|!=|=|<|>)
  | (?P<mark>[(),])
  | (?P<word>\w+(?:/\w+)*)
)""",
    re.VERBOSE,
)
_DEEPEST = 50
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class _Token:
    sort: str
    text: str

    def word(self) -> str:
        return self.text.lower() if self.sort in {"word", "mark"} else ""


_END = _Token("end", "the end")


class Known(Protocol):
    """What knows the names that conditions may call."""

    def find(self, name: str) -> Field | None: ...


def compile_conditions(text: str, names: Known, load: Load) -> Predicate:
    """Return the test that `text` stands for; refused with ApiFindCondition where it can't be read."""
    return _Parser(_tokens(text), names, load).whole()


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise bad_condition(f"Unexpected character {text[at:].strip()[0]!r} in the conditions.")
        tokens.append(_Token(found.lastgroup, found[found.lastgroup]))
        at = found.end()
    return tokens


class _Parser:
    """Reads the tokens from left to right, a token of look-ahead."""

    def __init__(self, tokens: list[_Token], names: Known, load: Load) -> None:
        self._tokens = [*tokens, _END]
        self._at = self._depth = 0
        self._names = names
        self._load = load

    def whole(self) -> Predicate:
        test = self._condition()
        if self._peek() is not _END:
            raise bad_condition(f"Unexpected {self._peek().text} in the conditions.")
        return test

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _take(self, word: str) -> bool:
        found = self._peek().word() == word
        if found:
            self._next()
        return found

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            raise bad_condition(f"Expected {mark} in the conditions, found {self._peek().text}.")

    def _condition(self) -> Predicate:
        tests = [self._all()]
        while self._take("or"):
            tests.append(self._all())
        return predicates.any_of(tests)

    def _all(self) -> Predicate:
        tests = [self._term()]
        while self._take("and"):
            tests.append(self._term())
        return predicates.all_of(tests)

    def _term(self) -> Predicate:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise bad_condition("The conditions are nested too deep.")
        if self._take("not"):
            test = predicates.negated(self._term())
        elif self._take("("):
            test = self._condition()
            self._expect(")")
        else:
            test = self._comparison()
        self._depth -= 1
        return test

    def _comparison(self) -> Predicate:
        token = self._next()
        if token.sort != "word":
            raise bad_condition(f"Expected a name in the conditions, found {token.text}.")
        field = self._names.find(token.text)
        if field is None:
            raise unknown_name(token.text)
        if self._take("not"):
            return predicates.negated(self._word_test(field))
        if self._peek().sort == "sign":
            return predicates.compare(field, self._next().text, self._literal(), self._load)
        return self._word_test(field)

    def _word_test(self, field: Field) -> Predicate:
        token = self._next()
        if token.word() == "in":
            return predicates.one_of(field, self._literals(), self._load)
        if token.word() in {"like", "contains"}:
            return predicates.matches(field, token.word(), self._literal(), self._load)
        raise bad_condition(f"Expected an operator in the conditions, found {token.text}.")

    def _literals(self) -> list[Value]:
        self._expect("(")
        literals = [self._literal()]
        while self._take(","):
            literals.append(self._literal())
        self._expect(")")
        return literals

    def _literal(self) -> Value:
        token = self._next()
        if token.sort == "text":
            quote, inner = token.text[0], token.text[1:-1]
            return Value("text", inner.replace(f"\\{quote}", quote).replace(quote * 2, quote), token.text)
        if token.sort == "number":
            return Value("number", float(token.text) if "." in token.text else int(token.text), token.text)
        if token.sort == "date":
            return _date(token.text)
        if token.word() in _CONSTANTS:
            constant = _CONSTANTS[token.word()]
            return Value("null" if constant is None else "boolean", constant, token.text)
        raise bad_condition(f"Expected a value in the conditions, found {token.text}.")


def _date(text: str) -> Value:
    """An offset is refused: real sites read it differently, so that a client must not send it."""
    seconds = read_literal(text[1:-1])
    if seconds is None:
        raise bad_condition(f"{text} is not a valid date.")
    return Value("date", seconds, text)
