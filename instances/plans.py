"""A resource poll's configuration, ready to run: what `polling` needs, already validated and compiled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from cwconnect.connectwise.hub_url import HubUrl, field_value
from cwconnect.connectwise.java_dates import DatePattern

LOOK_BACK = timedelta(seconds=300)
COMPANIES = "/company/companies"


@dataclass(frozen=True)
class DateField:
    """Where a record holds a date, and how it is written there."""

    field: str
    pattern: DatePattern
    zone: tzinfo

    def read(self, record: dict[str, Any]) -> datetime | None:
        """Give the date as aware UTC; None when absent, null or blank; ValueError when it can't be read."""
        value = field_value(record, self.field)
        if value is None or value == "":
            return None
        return self.pattern.parse(str(value), self.zone)


@dataclass(frozen=True)
class Plan:
    """How one resource is polled (contract §4); `created` is None where the configuration names no field of its own."""

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

    @property
    def honours_deleted_flag(self) -> bool:
        """Whether a record's `deletedFlag` means that it is gone: companies have it, and keep their rows."""
        return self.detect_deletes and self.hub.path.lower() == COMPANIES

    @property
    def needed_fields(self) -> tuple[str, ...]:
        """Give the fields (dotted) that the poll reads of each record, whatever the URL's `fields` say."""
        created = (self.created.field,) if self.created else ()
        flag = ("deletedFlag",) if self.honours_deleted_flag else ()
        return (self.id_field, self.updated.field, *created, *flag)

    def opening(self, cursor: datetime) -> datetime:
        """Give the start of the window that follows `cursor`: never less than the look-back before it.

        A row can become visible late, behind the cursor, and stamps are whole seconds: see the design's *The window*.
        """
        return cursor - max(self.poll_delay, LOOK_BACK) - timedelta(seconds=1)
