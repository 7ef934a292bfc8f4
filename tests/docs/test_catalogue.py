"""docs/catalogue.md says what the catalogue has."""

from __future__ import annotations

import re

from cwconnect.connectwise.field_table import fields_of
from tests.connectwise.test_catalogue import LISTS, OF_ONE_RECORD, SECRET, stamped
from tests.support.catalogue_tables import DOCUMENT, tables, tables_in


def test_the_tables_are_those_of_the_catalogue() -> None:
    written = tables_in(DOCUMENT.read_text(encoding="utf-8"))
    assert written == tables(), "python -m tests.support.catalogue_tables writes them anew"


def test_what_it_leaves_out_is_named() -> None:
    text = DOCUMENT.read_text(encoding="utf-8").partition("## What it leaves out")[2]
    named = set(re.findall(r"/(?:\w+/)+\w+", text))
    assert {path for path in LISTS if "{}" not in path and not stamped(path)} | OF_ONE_RECORD | SECRET <= named
    assert [path for path in named if not fields_of(path)] == []
