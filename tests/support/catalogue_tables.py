"""The tables of docs/catalogue.md, made of the catalogue: `python -m tests.support.catalogue_tables` writes them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from cwconnect.connectwise.callbacks.types import type_of_path
from cwconnect.connectwise.catalogue import all_resources
from cwconnect.connectwise.only_per_record import all_per_record
from cwconnect.connectwise.resource import Resource

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "catalogue.md"
_ABOUT = """
An alias stands in brackets. The created field is where a record says when it was made; where there is none, new is
what has an id above the largest one of when watching began. The title is what pages and events call a record by;
behind *or* stands what is taken where the first is empty."""
_ABOUT_BENEATH = """
## Only beneath a record

These have a path for each parent alone. Where the last column names a resource, it has the records of all parents.
Where it does not, no poll sees all of them; those of one parent are watched by a URL of their own, under any name:
`/hubs/crm/service/tickets/1204/notes?where=lastUpdated>'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'`. Whoever asks for one
by its name, on the pages or by the API, is answered so.
"""
_BEGIN, _END = "\n## The resources\n", "\n## What it leaves out\n"


def tables() -> str:
    """Return what stands between the two headings of the document."""
    return "\n".join((*_resources(), *_beneath())) + "\n"


def tables_in(text: str) -> str:
    """Return what a text of the document has there."""
    return text.partition(_BEGIN)[2].partition(_END)[0]


def _resources() -> Iterator[str]:
    yield _ABOUT
    for module, found in groupby(sorted(all_resources(), key=lambda each: each.module), key=lambda each: each.module):
        yield f"\n### {module.capitalize()}\n"
        # The pages call a table by its first cells, and each by another name.
        yield f"| Resource of {module} | Path | Created field | Title | Called back |\n|---|---|---|---|---|"
        yield from map(_row, found)


def _row(resource: Resource) -> str:
    name = " ".join((resource.name, *(f"({alias})" for alias in resource.aliases)))
    created = f"`{resource.created_field}`" if resource.created_field else "none"
    titles = " *or* ".join(f"`{title}`" for title in resource.titles)
    return f"| {name} | {resource.path} | {created} | {titles} | {type_of_path(resource.path) or 'no'} |"


def _beneath() -> Iterator[str]:
    yield _ABOUT_BENEATH
    yield "| Name | Path | All of them |\n|---|---|---|"
    for each in all_per_record():
        yield f"| {each.name} | {each.path} | {each.elsewhere or 'no'} |"


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(text.replace(_BEGIN + tables_in(text), _BEGIN + tables()), encoding="utf-8")
