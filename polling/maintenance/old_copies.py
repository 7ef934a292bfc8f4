"""Copies that nobody needs any more: their records go first, a few pages at a time, and the row last.

Kept are those that are complete or have failed, for CWCONNECT_COPY_DAYS; the records of one that was cancelled or has
failed go at once, and one that was not ended in that time is ended. Who downloads a file when it expires has an hour.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from polling.models import Copy, CopyPage

PAGES = 20  # a batch: some megabytes
GRACE = timedelta(hours=1)
TOO_LONG = "It was not complete within the {} days that a copy is kept."


def end_stale_copies(now: datetime) -> int:
    """Have those fail that were asked for longer ago than a copy is kept; give how many."""
    kept = timedelta(days=settings.COPY_DAYS)
    stale = Copy.objects.filter(status__in=Copy.OPEN, asked_at__lt=now - kept)
    words = TOO_LONG.format(settings.COPY_DAYS)
    changes = {"status": Copy.Status.FAILED, "error": words, "next_try_at": None, "finished_at": now}
    return stale.end_leases(**changes, expires_at=now + kept)


def prune_copies(now: datetime) -> int:
    """Delete a batch of pages of copies that are over, or else such copies; give how many rows."""
    expired = Q(expires_at__lt=now - GRACE)
    dropped = Q(status__in=(Copy.Status.CANCELLED, Copy.Status.FAILED))
    over = Copy.objects.filter(expired | dropped).values("pk")
    if count := delete_pages(CopyPage.objects.filter(copy__in=over).order_by("copy", "number")):
        return count
    return Copy.objects.filter(expired).delete()[0]


def delete_pages(pages: QuerySet[CopyPage]) -> int:
    """Delete the first few of these pages; give how many."""
    keys = list(pages.values_list("pk", flat=True)[:PAGES])
    CopyPage.objects.filter(pk__in=keys).delete()
    return len(keys)
