"""When an API key was last used: written at most once a minute by each process, and by nobody twice for one minute."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import DatabaseError
from django.db.models import Q

from cwconnect.core.plain_cache import PlainMemoryCache
from instances.models import ApiUser

log = logging.getLogger(__name__)

_EVERY = timedelta(minutes=1)
# Each process knows by itself what it wrote: a Redis that hangs must not hold up the API for this.
_noted = PlainMemoryCache("API keys used", {"OPTIONS": {"MAX_ENTRIES": 10_000}})


def note_use(user: ApiUser, now: datetime) -> None:
    """Note that a key was used at `now`. What fails is logged: a request that only reads is answered all the same."""
    if not _noted.add(str(user.pk), 1, _EVERY.total_seconds()):
        return
    long_ago = Q(last_used_at=None) | Q(last_used_at__lt=now - _EVERY) | Q(last_used_at__gt=now)
    try:
        ApiUser.objects.filter(long_ago, pk=user.pk).update(last_used_at=now)
    except DatabaseError:
        log.warning("The use of an API key could not be noted.", exc_info=True)
