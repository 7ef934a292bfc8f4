"""Characters that nobody sees, found where people paste and programs send: in URLs, keys and names. Pure.

Copied from web pages, chats and word processors, they make two texts that look the same differ. What is unseen: the
controls, formats, separators and halves of pairs of Unicode's categories, the plain space excepted, and what else is
ignored when drawn (Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties), or drawn as nothing.
"""

from __future__ import annotations

import re
import unicodedata

BLANKS = " \t\n\r\f\v"  # what a paste has at its ends, and may lose without a word
_UNSEEN_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp", "Zs"))
_IGNORED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
# The names that Unicode gives its controls are aliases, which `unicodedata.name` does not know.
_CONTROLS = {
    "\0": "NULL",
    "\t": "TABULATION",
    "\n": "LINE FEED",
    "\r": "CARRIAGE RETURN",
    "\x1b": "ESCAPE",
    "\x7f": "DELETE",
    "\x85": "NEXT LINE",
}
# Unseen in themselves, seen in what they do to their neighbours: join emoji and part Persian letters, choose a glyph
# (emoji, the ideographs of Japanese names), and be the space of Japanese.
_BETWEEN = "\u200c\u200d\u3000"
_SELECTORS = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_REGIONAL_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f")


def trim(text: str) -> str:
    """Return a text without the blanks at its ends: spaces, tabs and line ends, and no other white space."""
    return text.strip(BLANKS)


def find_unseen(text: str, *, allowed: str = "") -> str | None:
    """Say which unseen character a text holds, and where: `U+200B ZERO WIDTH SPACE at the end`; None if it has none.

    The text itself is not quoted: it may be a secret. `allowed` are characters that may stand in it.
    """
    if text.isprintable() and not _IGNORED.search(text):
        return None
    unseen = [_is_unseen(character) and character not in allowed for character in text]
    if True not in unseen:
        return None
    position = unseen.index(True)
    return f"{_name(text[position])} {_place(unseen, position)}"


def find_unseen_in_name(text: str) -> str | None:
    """Say, as `find_unseen` does, what makes a name that people chose differ from one that looks the same.

    Joiners and the ideographic space between two characters that are seen, glyph selectors after one, and regional
    flags are part of how names are written (Persian, Japanese, emoji) and may stand there.
    """
    if text.isprintable() and not _IGNORED.search(text):
        return None
    characters = list(_REGIONAL_FLAG.sub(lambda flag: "x" * len(flag.group()), text))
    for position, character in enumerate(characters):
        after = _is_seen(characters[position - 1 : position])
        if after and (
            _SELECTORS.fullmatch(character)
            or (character in _BETWEEN and _is_seen(characters[position + 1 : position + 2]))
        ):
            characters[position] = "x"
    return find_unseen("".join(characters))


def _is_unseen(character: str) -> bool:
    if character == " ":
        return False
    return unicodedata.category(character) in _UNSEEN_CATEGORIES or _IGNORED.match(character) is not None


def _is_seen(one: list[str]) -> bool:
    """Whether there is a character, and a person sees it."""
    return bool(one) and one[0] != " " and not _is_unseen(one[0])


def _name(character: str) -> str:
    name = _CONTROLS.get(character) or unicodedata.name(character, "")
    if not name:
        name = "CONTROL CHARACTER" if unicodedata.category(character) == "Cc" else "UNNAMED CHARACTER"
    return f"U+{ord(character):04X} {name}"


def _place(unseen: list[bool], position: int) -> str:
    if position == 0:
        return "at the beginning"
    return "at the end" if all(unseen[position:]) else f"as character {position + 1}"
