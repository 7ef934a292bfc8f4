"""The query of a hub URL as its users write it: barely escaped, with quotes, signs and templates in it.

Templates are found first, since a pattern may hold `&`, `?` or quotes of its own. Percent-escapes are decoded where
they are valid. A `+` is ambiguous: it stays one in a template, between quotes and before a digit (`+02:00`), and is
a blank elsewhere; `%2B` is always a plus.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from cwconnect.connectwise.java_dates import (
    PatternError,
    Template,
    ZoneError,
    split_templates,
)

_MARK = "\x00{}\x00"  # stands for a template; no URL holds U+0000, and escapes are decoded with the marks in place
_MARKED = re.compile("\x00(\\d+)\x00")
_PLUS = "\x01"
_PARAMETER = re.compile(r"&(?=[A-Za-z]+=)")  # an `&` that begins no parameter belongs to the value: 'A & B'
_QUOTED = re.compile(r"""('[^']*'|"[^"]*")""")


class HubUrlError(ValueError):
    """A hub URL that can't be polled; the message is a sentence for its author."""


def split_url(url: str) -> tuple[str, list[tuple[str, str]]]:
    """Cut a URL into its decoded path and its parameters, decoded and in order; templates stay as written.

    Raises `HubUrlError` for templates that can't be read, and for what no URL can hold.
    """
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", url):
        raise HubUrlError("The url holds a control character, or half of a surrogate pair.")
    marked, sources = _mark_templates(url)
    path, _, query = marked.partition("?")
    if sources and _MARKED.search(path):
        raise HubUrlError("The url's path holds a template; templates belong into the query.")
    pairs = (part.partition("=") for part in _PARAMETER.split(query) if part.strip("&"))
    return _unquoted(path), [(unquote(name), _decode(value.rstrip("&"), sources)) for name, _, value in pairs]


def _mark_templates(url: str) -> tuple[str, list[str]]:
    sources: list[str] = []
    try:
        parts = split_templates(url)
    except (PatternError, ZoneError) as error:
        raise HubUrlError(f"The url's template can't be read: {error}") from error
    text = ""
    for part in parts:
        if isinstance(part, Template):
            text += _MARK.format(len(sources))
            sources.append(part.source)
        else:
            text += part
    return text, sources


def _decode(value: str, sources: list[str]) -> str:
    """Decode between the marks only, so that no escape can forge a mark."""
    pieces = _MARKED.split(value)
    pieces[::2] = [_PLUS.join(_unquoted(part) for part in piece.split("+")) for piece in pieces[::2]]
    pieces[1::2] = [_MARK.format(number) for number in pieces[1::2]]
    spaced = "".join(
        part.replace(_PLUS, "+") if index % 2 else re.sub(f"{_PLUS}(?!\\d)", " ", part).replace(_PLUS, "+")
        for index, part in enumerate(_QUOTED.split("".join(pieces)))
    )
    return _MARKED.sub(lambda match: sources[int(match[1])], spaced)


def _unquoted(text: str) -> str:
    decoded = unquote(text) if _is_utf8(text) else text
    if re.search(r"[\x00-\x1f\x7f]", decoded):
        raise HubUrlError("The url holds a control character.")
    return decoded


def _is_utf8(text: str) -> bool:
    try:
        unquote(text, errors="strict")
    except UnicodeDecodeError:
        return False
    return True
