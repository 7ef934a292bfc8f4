"""Foreground polls and sweeps until none is due, and an end in words where what is due can't be begun."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from django.core.management.base import CommandError
from django.db.models import QuerySet
from django.utils import timezone

from polling.models import Health, PollState, Site

PATIENCE = timedelta(minutes=1)  # ConnectWise's usual pause after too many requests is half of it
_LOOK_SECONDS = 0.5


def work_until_done(due: Callable[[], QuerySet[PollState]], work: Callable[[], int]) -> None:
    """Call `work` until `due` gives no state any more; a worker that holds a lease, or a short pause, is waited for.

    `work` carries out what it can claim and returns how many jobs ended. Raises CommandError where nobody can claim
    what is left: ConnectWise refuses the login or the right, or asked for a pause longer than a minute.
    """
    while left := list(due().select_related("resource_poll__instance")):
        if work():
            continue
        if hindered := [sentence for state in left if (sentence := _hindrance(state))]:
            raise CommandError("\n".join(hindered))
        time.sleep(_LOOK_SECONDS)


def _hindrance(state: PollState) -> str:
    """Return why nobody can begin this now; empty if somebody may, or has."""
    if state.health == Health.UNAUTHORIZED and (state.next_poll_at is None or state.next_poll_at > timezone.now()):
        return f"{state.resource_poll}: {state.last_error or 'ConnectWise refuses the login.'}"
    blocked = Site.objects.filter(key=state.site, blocked_until__gt=timezone.now() + PATIENCE).first()
    if blocked is None:
        return ""
    return (
        f"{state.resource_poll}: ConnectWise asked for a pause until {blocked.blocked_until:%Y-%m-%d %H:%M:%S} UTC; "
        "the worker goes on then."
    )
