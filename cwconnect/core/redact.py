"""Secrets masked in what others answer, in every spelling in which a program may echo what it was sent. Pure.

The text is read as it stands and as it means: percent-encoding, the backslashes of JSON and of programs, and HTML's
references are decoded, several layers of them; base64 (standard and URL-safe, at any of the three alignments that a
secret may have within something longer) and hexadecimal are looked for in all of these readings. What was found is
masked where it stands.

A secret of fewer than four characters looks like an ordinary word: it is masked where it stands by itself, and not
looked for within base64 or hexadecimal. It protects nothing anyway.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

MASK = "********"
SHORTEST = 4
_LAYERS = 3
_LONGEST_REST = 10
_PERCENT = r"(?:%[0-9A-Fa-f]{2})+"
_BACKSLASH = r"\\+(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[^ux0-9])"
_REFERENCE = r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"
_EACH = tuple(map(re.compile, (_PERCENT, _BACKSLASH, _REFERENCE)))
_ESCAPE = re.compile("|".join((_PERCENT, _BACKSLASH, _REFERENCE)))
# The beginning of one, at the end of a text that was cut there.
_CUT_ESCAPE = re.compile(r"(?:\\+(?:u[0-9A-Fa-f]{0,3}|x[0-9A-Fa-f]?)?|%[0-9A-Fa-f]?|&#?[0-9A-Za-z]{0,8})\Z")
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LOWER = str.maketrans("ABCDEF", "abcdef")
_URL_SAFE = str.maketrans("-_", "+/")
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
# A 0 before an x is a prefix, or the last digit before what follows: after a digit both are tried.
_WITHIN_HEX = re.compile(r"(?<![0-9A-Fa-f])0x|[\s:,;-]")
_WITHIN_TIGHT_HEX = re.compile(r"0x|[\s:,;-]")
_DIGIT_OR_PREFIX = re.compile(r"[0-9A-Fa-f]0x")
_WHITE = re.compile(r"\s+")
_NUL = re.compile("[\0\ufffd]+")


@dataclass(frozen=True)
class _View:
    """A reading of a text: its characters, and where in the text each of them begins and ends."""

    text: str
    starts: list[int]
    ends: list[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return what part of the text these characters are."""
        return self.starts[start], self.ends[end - 1]

    def replaced(self, pattern: re.Pattern[str], read: Callable[[str], list[tuple[str, int, int]]]) -> _View | None:
        """Return the view in which what `pattern` finds is read otherwise; None if it finds nothing."""
        text, starts, ends, position = list[str](), list[int](), list[int](), 0
        for found in pattern.finditer(self.text):
            begin, end = found.span()
            text.append(self.text[position:begin])
            starts += self.starts[position:begin]
            ends += self.ends[position:begin]
            for character, first, last in read(found.group()):
                text.append(character)
                starts.append(self.starts[begin + first])
                ends.append(self.ends[begin + last - 1])
            position = end
        if not position:
            return None
        text.append(self.text[position:])
        return _View("".join(text), starts + self.starts[position:], ends + self.ends[position:])

    def without(self, pattern: re.Pattern[str]) -> _View:
        """Return the view without what `pattern` finds."""
        return self.replaced(pattern, lambda found: []) or self


@dataclass(frozen=True)
class Redactor:
    """Masks these secrets; `codes` are their bytes in base64, by alignment, and `digits` in hexadecimal."""

    words: tuple[str, ...]
    codes: tuple[str, ...]
    digits: tuple[str, ...]

    def __call__(self, text: str, *, cut: bool = False) -> str:
        """Return the text, all secrets masked; where it was `cut`, without the beginning of a secret at its end."""
        if cut:
            text = _CUT_ESCAPE.sub("", text)
        spans: list[tuple[int, int]] = []
        end = len(text)
        for needles, view, reach in self._searches(text):
            spans += (view.span(*reach(view, *found)) for needle in needles for found in _found(needle, view.text))
            if cut:
                end = min((end, *(view.starts[start] for start in _beginnings(needles, view.text))))
        return _masked(text, spans, end)

    def _searches(self, text: str) -> Iterator[tuple[tuple[str, ...], _View, _Reach]]:
        """Return what is looked for in which reading, and how far beyond what was found the secret may reach."""
        if not text or not self.words + self.codes:
            return
        for view in _readings(text):
            yield self.words, view, _no_further
            plain = view.without(_WHITE)
            yield self.codes, _View(plain.text.translate(_URL_SAFE), plain.starts, plain.ends), _to_shared_characters
            for within in (_WITHIN_HEX, _WITHIN_TIGHT_HEX) if _DIGIT_OR_PREFIX.search(view.text) else (_WITHIN_HEX,):
                bare = view.without(within)
                yield self.digits, _View(bare.text.translate(_LOWER), bare.starts, bare.ends), _no_further


@lru_cache(maxsize=512)
def redactor(secrets: tuple[str | bytes, ...]) -> Redactor:
    """Return what masks these secrets; of bytes that are no text, only the encodings are looked for."""
    words, codes, digits = set[str](), set[str](), set[str]()
    for secret in secrets:
        if isinstance(secret, str) and secret:
            # Of a secret that looks escaped itself, `a%41b`, a reading shows what that means.
            meant = (view.text for view in _readings(secret) if len(view.text) >= SHORTEST)
            words |= {spelling for text in (secret, *meant) for spelling in _spellings(text)}
        if len(secret) >= SHORTEST:
            for content in _bytes_of(secret):
                codes |= {_code(content, before) for before in range(3)}
                digits.add(content.hex())
    return Redactor(*(tuple(sorted(found, key=len, reverse=True)) for found in (words, codes, digits)))


def parts_of(value: str) -> set[str]:
    """Return a header's value and what in it may be a secret by itself: a token behind its scheme, a Basic password."""
    found = {value}
    for word in re.split(r"[\s,;=]+", value):
        if len(word) >= 2 * SHORTEST:
            found.add(word)
    scheme, _, token = value.partition(" ")
    if scheme.lower() == "basic":
        try:
            login = base64.b64decode(token.strip(), validate=True).decode()
        except ValueError:
            return found
        found |= {login, login.partition(":")[2]}
    return {part for part in found if part}


def _spellings(secret: str) -> set[str]:
    """Return a text as forms write it (a plus for a space), and as its bytes look when they are read otherwise."""
    found = {secret, secret.replace(" ", "+")}
    if not secret.isascii():
        found.add(secret.encode().decode("latin-1"))
        found.add(secret.encode().decode("cp1252", "replace"))
        found.add(re.sub(r"[^\x00-\x7f]", "\N{REPLACEMENT CHARACTER}", secret))
        with suppress(UnicodeEncodeError):  # as headers are sent, read as UTF-8
            found.add(secret.encode("latin-1").decode("utf-8", "replace"))
        found.add(re.sub(r"[^\x00-\uffff]", _surrogates, secret))  # as JSON escapes them
    return found


def _surrogates(found: re.Match[str]) -> str:
    high, low = divmod(ord(found.group()) - 0x10000, 0x400)
    return chr(0xD800 + high) + chr(0xDC00 + low)


def _bytes_of(secret: str | bytes) -> Iterator[bytes]:
    if isinstance(secret, bytes):
        yield secret
        return
    yield secret.encode()
    if all(character < "\u0100" for character in secret):
        yield secret.encode("latin-1")  # as headers are sent


def _code(content: bytes, before: int) -> str:
    """Return the characters of base64 that these bytes alone decide, with so many others before them."""
    whole = base64.b64encode(b"\0" * before + content + b"\0\0").decode()
    return whole[-(-8 * before // 6) : 8 * (before + len(content)) // 6]


def _readings(text: str) -> Iterator[_View]:
    """Return the text as it stands, by each kind of escapes alone, and without one layer of all after the other."""
    places = list(range(len(text)))
    plain = _View(text, places, [place + 1 for place in places])
    yield plain
    if _NUL.search(text):  # UTF-16 read as if it were UTF-8
        yield plain.without(_NUL)
    kinds = [one for kind in _EACH if (one := plain.replaced(kind, _decoded))]
    if len(kinds) > 1:
        yield from kinds
    view: _View | None = plain
    for _ in range(_LAYERS):
        view = view and view.replaced(_ESCAPE, _decoded)
        if view:
            yield view


def _decoded(escape: str) -> list[tuple[str, int, int]]:
    """Return the characters that an escape stands for, each with its place within it."""
    if escape.startswith("%"):
        return _percent_decoded(escape)
    if escape.startswith("&"):
        return [(html.unescape(escape), 0, len(escape))] if len(html.unescape(escape)) == 1 else _as_it_is(escape)
    return _unescaped(escape)


def _unescaped(escape: str) -> list[tuple[str, int, int]]:
    """Read backslashes, in pairs, and what the last one escapes if it is alone."""
    name = escape.lstrip("\\")
    slashes = len(escape) - len(name)
    found = [("\\", place, place + 2) for place in range(0, slashes - 1, 2)]
    rest = escape[2 * len(found) :]
    if slashes % 2 and name:
        hexadecimal = name[0] in "ux" and len(name) > 1
        meant = chr(int(name[1:], 16)) if hexadecimal else _CONTROLS.get(name, name)
        return [*found, (meant, 2 * len(found), len(escape))]
    return [
        *found,
        *((character, start + 2 * len(found), end + 2 * len(found)) for character, start, end in _as_it_is(rest)),
    ]


def _as_it_is(text: str) -> list[tuple[str, int, int]]:
    return [(character, place, place + 1) for place, character in enumerate(text)]


def _percent_decoded(escape: str) -> list[tuple[str, int, int]]:
    """Read bytes as UTF-8, and those that are none as Latin-1."""
    content, found, place = bytes.fromhex(escape.replace("%", "")), [], 0
    while place < len(content):
        character, size = _first_of(content[place : place + 4])
        found.append((character, 3 * place, 3 * (place + size)))
        place += size
    return found


def _first_of(content: bytes) -> tuple[str, int]:
    for size in range(1, len(content) + 1):
        with suppress(UnicodeDecodeError):
            return content[:size].decode(), size
    return chr(content[0]), 1


_Reach = Callable[[_View, int, int], tuple[int, int]]


def _no_further(view: _View, start: int, end: int) -> tuple[int, int]:
    return start, end


def _to_shared_characters(view: _View, start: int, end: int) -> tuple[int, int]:
    """Take in the characters of base64 right beside it, which a secret's first and last bits share with others."""
    before = start > 0 and view.text[start - 1] in _BASE64 and view.ends[start - 1] == view.starts[start]
    after = end < len(view.text) and view.text[end] in _BASE64 and view.starts[end] == view.ends[end - 1]
    return start - before, end + after


def _found(needle: str, text: str) -> Iterator[tuple[int, int]]:
    """Return where a secret stands in a text; a short one only where it stands by itself."""
    if len(needle) < SHORTEST:
        alone = rf"(?<![0-9A-Za-z]){re.escape(needle)}(?![0-9A-Za-z])"
        yield from (found.span() for found in re.finditer(alone, text))
        return
    start = text.find(needle)
    while start >= 0:
        yield start, start + len(needle)
        start = text.find(needle, start + 1)


def _beginnings(needles: tuple[str, ...], text: str) -> Iterator[int]:
    """Return where, at the end of a text that was cut, one of these may begin, or an escape did that was cut itself."""
    if escape := _CUT_ESCAPE.search(text):
        yield escape.start()
    yield from (start for needle in needles if (start := _beginning(needle, text)) is not None)


def _beginning(needle: str, text: str) -> int | None:
    """Return where, at the end of a text that was cut, a secret may begin, the first such place; None where none does.

    A few characters after it may be what is left of an escape that was cut itself, and may look like another, shorter
    beginning. So a text may lose a few characters that only look like one: it was cut anyway.
    """
    ends = range(len(text), max(0, len(text) - _LONGEST_REST), -1)
    return min((end - length for end in ends if (length := _longest_beginning(needle, text[:end]))), default=None)


def _longest_beginning(needle: str, head: str) -> int:
    """Return how many characters of a secret, though not all of them, this text ends with."""
    lengths = range(min(len(needle) - 1, len(head)), 0, -1)
    return next((length for length in lengths if head.endswith(needle[:length])), 0)


def _masked(text: str, spans: list[tuple[int, int]], end: int) -> str:
    """Replace these parts of a text by masks, those that touch by one, and leave out what comes from `end` on."""
    parts, position = list[str](), 0
    for start, stop in sorted((*spans, (end, len(text)))):
        if start >= end:
            break
        if start > position or not parts:
            parts += (text[position:start], MASK)
        position = max(position, stop)
    return "".join((*parts, text[position:end]))
