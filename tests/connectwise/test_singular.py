"""What one record of a resource is called: a promise to receivers, who choose by it (CloudEvents' `type`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cwconnect.connectwise.catalogue import all_names
from cwconnect.connectwise.singular import singular_of

WORDS = dict(line.split("\t") for line in (Path(__file__).parent / "singular.tsv").read_text().splitlines())


def test_each_name_of_the_catalogue_has_its_word() -> None:
    assert {name: singular_of(name) for name in all_names()} == WORDS


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("Contacts", "contact"),
        ("TICKETS", "ticket"),
        ("VIP contacts (EU)", "vip-contacts-eu"),  # somebody's own word is no plural of ours
        ("a.b/c_d", "a-b-c-d"),  # a point would be a part of the type
        ("Контакты", "контакты"),
        ("Straße № 7", "straße-7"),
        ("--", "record"),
        ("\u200f\x07", "record"),
    ],
)
def test_a_name_of_one_s_own_stays_but_for_case_and_signs(name: str, word: str) -> None:
    assert singular_of(name) == word
