"""The refusal of `manage.py migrate`: what breaks processes of the version before is not done while they are alive."""

from __future__ import annotations

from collections.abc import Callable

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from cwconnect.site.upgrading.plan import Targets, is_fresh, pending
from cwconnect.site.upgrading.running import still_alive


class OldProcessesError(Exception):
    """Processes of another version are alive, and what is pending would break them; the message says both."""


def refuse_beside_old(
    connection: BaseDatabaseWrapper, say: Callable[[str], None], targets: Targets | None = None
) -> None:
    """Raise OldProcessesError where a migration up to `targets` needs old processes stopped and some are alive."""
    if is_fresh(connection):
        return
    breaking = [
        (f"{migration.app_label}.{migration.name}", verdict.breaks)
        for migration, verdict in pending(connection, targets)
        if verdict.breaks
    ]
    if not breaking or not (alive := still_alive(connection, timezone.now(), say)):
        return
    name, why = breaking[0]
    more = f" (and {len(breaking) - 1} more)" if len(breaking) > 1 else ""
    raise OldProcessesError(
        f"Nothing was changed. {name}{more} can't run beside processes of another version: {why} "
        f"Alive: {'; '.join(map(str, alive))}. Stop every web and worker of the old version, and run this again; "
        "`upgrade --check` lists all that is pending. --anyway does it all the same, and they will fail."
    )
