"""What is known of each registration, by type: wanted, made or refused. In the transaction of a comparison's step."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Q

from polling.models import CallbackRegistration

_ACTIVE, _REFUSED = CallbackRegistration.Status.ACTIVE, CallbackRegistration.Status.REFUSED


def note_wanted(instance_id: int, types: Collection[str]) -> None:
    """Have a row for each type that is wanted; those that are there stay as they are."""
    rows = [CallbackRegistration(instance_id=instance_id, type=type_) for type_ in sorted(types)]
    CallbackRegistration.objects.bulk_create(rows, ignore_conflicts=True)


def note_active(instance_id: int, type_: str, entry_id: int, now: datetime) -> None:
    """Write that an entry stands for the type; since now, unless that very one did before."""
    rows = CallbackRegistration.objects.filter(instance_id=instance_id, type=type_)
    rows.exclude(Q(status=_ACTIVE) & Q(entry_id=entry_id)).update(active_since=now)
    rows.update(entry_id=entry_id, status=_ACTIVE, error="")


def note_refused(instance_id: int, type_: str, words: str) -> None:
    """Write why ConnectWise refuses the type; none stands for it now."""
    rows = CallbackRegistration.objects.filter(instance_id=instance_id, type=type_)
    rows.update(entry_id=None, status=_REFUSED, error=words, active_since=None)
