"""JSON text in and out: orjson where it can, the standard library for what it refuses.

ConnectWise's records hold odd text. orjson refuses lone surrogates and whole numbers beyond 64 bits; a sandbox that
could not hold them would hide faults of its readers.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

Record = dict[str, Any]


def dumps(value: object) -> bytes:
    """Return compact JSON as UTF-8."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def loads(text: bytes) -> Any:
    """Read JSON; ValueError where it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)
