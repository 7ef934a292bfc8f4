"""`/v1/instances/{id}/callbacks`: what ConnectWise announces. Rules: `polling/reports/callback_trust.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.openapi import Operation, described
from instances.api.permission import READS
from polling.api.v1.base import POLLS, Shape, V1View, answer
from polling.callbacks.report import RegistrationRow
from polling.reports.callback_trust import CallbackCounts, Stretch, TypeTrust, trust_of


class RegistrationShape(Shape):
    """What is registered of a type. `error` is why ConnectWise refuses it.

    `silent_since`: when the first of several changes was recorded that no callback announced, none being heard since.
    """

    status: Literal["wanted", "active", "refused"]
    active_since: datetime | None
    error: str | None
    silent_since: datetime | None


class CallbackCountsShape(Shape):
    """Counts of a span. `refused` goes by reason; `unannounced` are changes that no callback announced.

    `seconds` is the mean time from a callback to the event of its change; null where there was none.
    """

    received: int
    verified: int
    refused: dict[str, int]
    woken: int
    announced: int
    unannounced: int
    seconds: float | None


class CallbackTypeShape(Shape):
    """A callback type by ConnectWise's word; null for what was refused, whose type nobody knows."""

    type: str | None
    resources: list[str]
    registration: RegistrationShape | None
    day: CallbackCountsShape
    week: CallbackCountsShape


class StretchShape(Shape):
    """What polling at a longer interval would save, once a week of callbacks was good: requests a day, at most.

    `share_of_budget` is that of 1,000 requests a minute.
    """

    refresh_interval: int
    to: int
    changes: int
    requests_a_day: int
    share_of_budget: float


class CallbacksShape(Shape):
    """An instance's callbacks.

    `error` is why registrations can't be compared with ConnectWise's, `key_error` why its signing key can't be had.
    `without` are polled resources of which it has no callbacks. `types` are empty where callbacks are off.
    """

    enabled: bool
    error: str | None
    key_error: str | None
    compared_at: datetime | None
    next_compare_at: datetime | None
    without: list[str]
    types: list[CallbackTypeShape]
    stretch: StretchShape | None


class CallbacksView(V1View):
    """`/v1/instances/{id}/callbacks`."""

    scopes = READS

    @described(
        Operation(POLLS, "Show what an instance's callbacks announced, and what not", CallbacksShape, errors=(400,))
    )
    def get(self, request: Request, number: str) -> Response:
        """Show registrations, and the counts of the last day and week."""
        self.no_query()
        trust = trust_of(self.instance(number), timezone.now())
        report = trust.registrations
        shape = CallbacksShape(
            enabled=trust.enabled,
            error=(report.problem or None) if report else None,
            key_error=(report.key_problem or None) if report else None,
            compared_at=report.compared_at if report else None,
            next_compare_at=report.next_compare_at if report else None,
            without=report.without if report else [],
            types=[_type(one) for one in trust.types],
            stretch=_stretch(trust.stretch) if trust.stretch else None,
        )
        return answer(shape)


def _type(one: TypeTrust) -> CallbackTypeShape:
    return CallbackTypeShape(
        type=one.type or None,
        resources=one.registration.resources if one.registration else [],
        registration=_registration(one.registration) if one.registration else None,
        day=_counts(one.day),
        week=_counts(one.week),
    )


def _registration(row: RegistrationRow) -> RegistrationShape:
    return RegistrationShape(
        status=row.status.value, active_since=row.since, error=row.problem or None, silent_since=row.silent_since
    )


def _counts(counts: CallbackCounts) -> CallbackCountsShape:
    return CallbackCountsShape(
        received=counts.received,
        verified=counts.verified,
        refused=counts.refused,
        woken=counts.woken,
        announced=counts.announced,
        unannounced=counts.unannounced,
        seconds=counts.seconds,
    )


def _stretch(stretch: Stretch) -> StretchShape:
    return StretchShape(
        refresh_interval=stretch.minutes,
        to=stretch.to_minutes,
        changes=stretch.changes,
        requests_a_day=stretch.requests,
        share_of_budget=stretch.share / 100,
    )
