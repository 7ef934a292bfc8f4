"""A resource poll's configuration, ready to run: what `polling` needs, already validated and compiled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from cwconnect.connectwise.catalogue import resource_for_path
from cwconnect.connectwise.hub_url import HubUrl, field_value
from cwconnect.connectwise.java_dates import DatePattern, read_iso
from cwconnect.connectwise.titles import titles_of

LOOK_BACK = timedelta(seconds=300)
AHEAD = timedelta(hours=1)  # that our clock may be behind ConnectWise's: a stamp beyond it is an error of one record
COMPANIES = "/company/companies"
OWN_STAMP = "_info.lastUpdated"  # where ConnectWise itself writes the stamp that its conditions go by


@dataclass(frozen=True)
class DateField:
    """Where a record holds a date, and how it is written there."""

    field: str
    pattern: DatePattern
    zone: tzinfo

    def read(self, record: dict[str, Any]) -> datetime | None:
        """Return the date as aware UTC; None when absent, null or blank; ValueError when it can't be read."""
        value = field_value(record, self.field)
        if value is None or value == "":
            return None
        return self.pattern.parse(str(value), self.zone)


@dataclass(frozen=True)
class Stamp:
    """When a record was updated; None where nothing says so.

    `problem` goes on after "Record 17": what is the matter with the configured field; blank if it gave the stamp.
    """

    at: datetime | None
    problem: str = ""


@dataclass(frozen=True)
class Plan:
    """How one resource is polled; `created` is None where the configuration names no field of its own.

    `tracks_for_filters` is no key of the configuration: receivers' filters ask which fields changed.

    Source: docs/wire-contract.md#4-configuration-keys-of-events.
    """

    hub: HubUrl
    id_field: str
    updated: DateField
    created: DateField | None
    filter_by_updated: bool
    filter_by_current: bool
    created_tolerance: timedelta
    page_size: int | None
    poll_delay: timedelta
    detect_deletes: bool
    sweep_interval: timedelta
    track_changes: bool
    ignore_empty_changes: bool
    tracks_for_filters: bool = False

    @property
    def keeps_changes(self) -> bool:
        """Whether events in the log say which fields changed; notifications do with `track_changes` alone."""
        return self.track_changes or self.tracks_for_filters

    @property
    def keeps_bodies(self) -> bool:
        """Whether the last text of each record is kept."""
        return self.keeps_changes or self.detect_deletes

    @property
    def titles(self) -> tuple[str, ...]:
        """Return of which fields the titles of its records are made (cwconnect/connectwise/titles.py)."""
        return titles_of(resource_for_path(self.hub.path))

    @property
    def honours_deleted_flag(self) -> bool:
        """Whether a record's `deletedFlag` means that it is gone: companies have it, and keep their rows."""
        return self.detect_deletes and self.hub.path.lower() == COMPANIES

    @property
    def needed_fields(self) -> tuple[str, ...]:
        """Return the fields (dotted) that the poll reads of each record, whatever the URL's `fields` say."""
        created = (self.created.field,) if self.created else ()
        flag = ("deletedFlag",) if self.honours_deleted_flag else ()
        return (self.id_field, self.updated.field, OWN_STAMP, *created, *flag)

    def stamp(self, record: dict[str, Any]) -> Stamp:
        """Read a record's update stamp: the configured field's, else ConnectWise's own, `_info.lastUpdated`.

        A field that no record has, or that holds no date, must not make old records look unchanged.
        """
        try:
            at, problem = self.updated.read(record), f" has no {self.updated.field}"
        except ValueError as error:
            at, problem = None, f": {self.updated.field} can't be read as a date ({error})"
        return Stamp(at) if at is not None else Stamp(_own_stamp(record), problem)

    def opening(self, cursor: datetime) -> datetime:
        """Return the start of the window that follows `cursor`: never less than the look-back before it.

        A row can become visible late, behind the cursor, and stamps are whole seconds: see
        docs/architecture.md#the-window.
        """
        return cursor - max(self.poll_delay, LOOK_BACK) - timedelta(seconds=1)


def _own_stamp(record: dict[str, Any]) -> datetime | None:
    value = field_value(record, OWN_STAMP)
    try:
        return read_iso(value) if isinstance(value, str) else None
    except ValueError:
        return None
