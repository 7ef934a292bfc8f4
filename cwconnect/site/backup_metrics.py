"""The part of `/metrics` that tells of scheduled backups; nothing where none are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from django.conf import settings
from prometheus_client.core import GaugeMetricFamily, Metric

from cwconnect.core.backup_folder import problem, taken_in


def backup_families(now: datetime) -> Iterator[Metric]:
    """Return whether backups are well and, of the newest one, its age and size."""
    if settings.BACKUP_FOLDER is None or not settings.ON_SQLITE:
        return
    well = not problem(settings.BACKUP_FOLDER, settings.DATA_DIR, settings.BACKUP_EVERY, now)
    yield GaugeMetricFamily("cwconnect_backup_ok", "Whether the scheduled backups are well.", value=int(well))
    with suppress(OSError):  # cwconnect_backup_ok says so
        found = taken_in(settings.BACKUP_FOLDER, now)
        yield GaugeMetricFamily("cwconnect_backups", "Scheduled backups that are kept.", value=len(found))
        if found:
            age = max(0.0, (now - found[0].at).total_seconds())
            yield GaugeMetricFamily("cwconnect_backup_age_seconds", "Age of the newest backup.", value=age)
            yield GaugeMetricFamily("cwconnect_backup_bytes", "Size of the newest backup.", value=found[0].size)
