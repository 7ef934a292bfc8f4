"""HTML as a browser reads it: how a template is broken into lines changes nothing."""

from __future__ import annotations

import re

_BLOCKS = "button|caption|dd|div|dt|fieldset|form|h1|h2|h3|legend|li|option|p|section|span|summary|td|th|title"
_VERBATIM = re.compile(r"(<(pre|textarea)\b.*?</\2>)", re.DOTALL)


def as_read(html: str) -> str:
    """Return HTML with each run of white space as one space, and none at the edges of tags and of blocks.

    What stands in `pre` and `textarea` is kept as it is.
    """
    pieces = _VERBATIM.split(html)
    pieces[::3] = [_collapsed(between) for between in pieces[::3]]
    del pieces[2::3]  # the names of the elements in between
    return "".join(pieces)


def _collapsed(html: str) -> str:
    html = re.sub(r"\s+", " ", html).replace(" >", ">")
    html = re.sub(rf"(<(?:{_BLOCKS})\b[^<>]*>) ", r"\1", html)
    return re.sub(rf" (?=</(?:{_BLOCKS})>)", "", html)
