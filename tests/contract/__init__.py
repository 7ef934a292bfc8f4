"""The wire contract as its users' programs meet it: its JSON samples as they are printed, and a program that runs."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

_SAMPLES = Path(__file__).parent / "samples"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def sample(name: str) -> Any:
    """Return a sample of the contract; `…` in it stands for any text."""
    return json.loads((_SAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def assert_same_shape(printed: Any, answered: Any, *, open_at: Collection[str] = (), at: str = "") -> None:
    """Assert the same keys and the same types at every depth, and times in the same form.

    Items of a list are compared with the printed list's first. At the paths in `open_at` there may be further keys.
    """
    assert type(answered) is type(printed), at
    if isinstance(printed, dict):
        assert printed.keys() <= answered.keys(), at
        assert at in open_at or answered.keys() == printed.keys(), at
        for key, value in printed.items():
            assert_same_shape(value, answered[key], open_at=open_at, at=f"{at}.{key}")
    elif isinstance(printed, list) and printed:
        assert answered, at
        for item in answered:
            assert_same_shape(printed[0], item, open_at=open_at, at=f"{at}[]")
    elif isinstance(printed, str) and _TIME.fullmatch(printed):
        assert _TIME.fullmatch(answered), at
