"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from cwconnect.core.text import counted


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0 events"), (1, "1 event"), (2, "2 events"), (-1, "-1 events"), (12_345, "12,345 events")],
)
def test_one_is_one(value: int, words: str) -> None:
    assert counted(value, "event") == words


def test_many_may_be_another_word() -> None:
    assert [counted(count, "delivery is", "deliveries are") for count in (1, 2)] == [
        "1 delivery is",
        "2 deliveries are",
    ]
