"""What ConnectWise lists only beneath a record: the notes of a ticket, the sites of a company.

Such a list has no path that covers all parents, so no resource of the catalogue can be it. `lists_beneath.txt` names
each, so that a request for one by its name is answered with where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from cwconnect.connectwise.further_resources import rows_of


@dataclass(frozen=True)
class PerRecordList:
    """One list beneath a record; `path` has `{id}` for each parent's id, `parent` is its words: "a ticket".

    `elsewhere` is the resource of the catalogue that has the records of all parents; empty where none has.
    """

    name: str
    path: str
    parent: str
    elsewhere: str

    @property
    def searched(self) -> str:
        """Return what a search finds it by, in small letters."""
        return f"{self.name} {self.path}".lower()

    @property
    def words(self) -> str:
        """Return the sentence, without its full stop, for whoever asks for it by its name."""
        said = f"ConnectWise lists {self.name.replace('-', ' ')} only beneath {self.parent}"
        if self.elsewhere:
            return f"{said}; the resource {self.elsewhere} has those of all"
        return f"{said}, so no poll sees all of them; the URL /hubs/crm{self.path} reads those of one"


def find_per_record(name: str) -> PerRecordList | None:
    """Find a list beneath a record by its name, in any case."""
    return next((each for each in all_per_record() if each.name == name.strip().lower()), None)


@cache
def unlisted_by_parent() -> Mapping[str, tuple[str, ...]]:
    """Return the names of those whose records no list has all of, by what they are beneath: "a ticket"."""
    parents: dict[str, list[str]] = {}
    for each in all_per_record():
        if not each.elsewhere:
            parents.setdefault(each.parent, []).append(each.name)
    return MappingProxyType({parent: tuple(names) for parent, names in parents.items()})


@cache
def all_per_record() -> tuple[PerRecordList, ...]:
    """Return all of them, by module."""
    return tuple(
        PerRecordList(name, path, parent, "" if elsewhere == "-" else elsewhere)
        for name, path, parent, elsewhere in rows_of("lists_beneath.txt", 4)
    )
