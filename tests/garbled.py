"""Texts that stand in place of a value and make a record no JSON, as the sandbox's `garble` takes them."""

from __future__ import annotations

CUT_OUT = {  # the array can be cut around these
    "NaN": "NaN",
    "an unknown escape": '"\\x41"',
    "nested too deeply": "[" * 900 + '"\\ud83d"' + "]" * 900,
    "a second id": 'NaN,"id":999999',
}
ISOLATED = {  # and around these it can't
    "a quote within a text": '"5" pipe"',
    "a quote too many": '"5""',
    "a backslash at the end of a text": '"C:\\dir\\"',
    "a text without an end": '"5',
    "a list without an end": "[1",
    "an object without an end": '{"a": 1',
    "an end too many": "1]",
    "an object closed twice": "1}",
    "a list closed as an object": "[1}",
    "all of it": '"5" [{"a',
}
WAYS = CUT_OUT | ISOLATED
