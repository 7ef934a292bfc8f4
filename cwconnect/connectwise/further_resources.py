"""The resources of the catalogue beside the common ones: each list of ConnectWise that can be polled by change.

`lists.txt` has one a line: its name, its path, the field that says when a record was made, and of which fields a
record's title is made. What its fields hold says the table of fields (field_table.py), when it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cwconnect.connectwise.resource import Resource


def rows_of(file: str, columns: int) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a table beside this module, its cells without blanks; ValueError where a row has others."""
    for line in Path(__file__).with_name(file).read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            cells = tuple(cell.strip() for cell in line.split("|"))
            if len(cells) != columns or not all(cells):
                raise ValueError(f"{file} has {line!r}, which has not {columns} cells.")
            yield cells


FURTHER_RESOURCES: Final[tuple[Resource, ...]] = tuple(
    Resource(name, path, None if created == "-" else created, (), tuple(titles.split("; ")), "", None)
    for name, path, created, titles in rows_of("lists.txt", 4)
)
