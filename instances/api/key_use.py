"""When an API key was last used: written at most once a minute by each process, and by nobody twice for one minute.

And where one was refused for the address that it came from, which may be a key that somebody stole: said once an hour
by each process, so that whoever has it fills neither the log nor the audit log.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import DatabaseError
from django.db.models import Q

from cwconnect.core.plain_cache import PlainMemoryCache
from instances.models import ApiUser, Instance

log = logging.getLogger(__name__)

_EVERY = timedelta(minutes=1)
# Each process knows by itself what it wrote: a Redis that hangs must not hold up the API for this.
_noted = PlainMemoryCache("API keys used", {"OPTIONS": {"MAX_ENTRIES": 10_000}})
_REFUSED_EVERY = timedelta(hours=1)


def note_use(user: ApiUser, now: datetime) -> None:
    """Note that a key was used at `now`. What fails is logged: a request that only reads is answered all the same."""
    if not _noted.add(str(user.pk), 1, _EVERY.total_seconds()):
        return
    long_ago = Q(last_used_at=None) | Q(last_used_at__lt=now - _EVERY) | Q(last_used_at__gt=now)
    try:
        ApiUser.objects.filter(long_ago, pk=user.pk).update(last_used_at=now)
    except DatabaseError:
        log.warning("The use of an API key could not be noted.", exc_info=True)


def note_refused(user: ApiUser, instance: Instance | None, limited: str, address: str) -> None:
    """Note that a request with the right secrets came from an address that its key, or its token, is not good from."""
    subject = instance if instance is not None and limited != "API key" else user
    # Not at import: REST framework imports this while what the audit log stands on imports REST framework.
    from instances import audit

    if not _noted.add(f"refused-{type(subject).__name__}-{subject.pk}", 1, _REFUSED_EVERY.total_seconds()):
        return
    log.warning("The %s of %s was used from %s, from where it may not be, and was refused.", limited, subject, address)
    details = {"address": address, "used": limited, "with_key": user.name}
    try:
        audit.record(audit.Action.REFUSE_ADDRESS, subject, organization=user.organization, details=details)
    except DatabaseError:
        log.warning("A refused address could not be noted in the audit log.", exc_info=True)
