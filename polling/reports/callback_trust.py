"""Whether an instance's callbacks can be relied on: what came, what was refused, and what no callback announced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q, Sum

from instances.models import Instance
from polling.callbacks.counts import ANNOUNCED, MILLISECONDS, RECEIVED, REFUSED, UNANNOUNCED, VERIFIED, WOKEN
from polling.callbacks.report import RegistrationReport, RegistrationRow, report_registrations
from polling.models import CallbackCount, CallbackRegistration
from polling.reports.event_hours import HOUR, hour_of

DAY_HOURS, WEEK_HOURS = 24, 168  # the hour under way and those before it
WEEK = timedelta(days=7)
ENOUGH = 20  # changes of a week, to judge by
STRETCHED = 60  # minutes between polls
BUDGET = 1000  # requests a minute that ConnectWise's cloud grants an integrator (docs/connectwise.md)
MINUTES_OF_A_DAY = 1440
_Status = CallbackRegistration.Status
_WORDS = {_Status.WANTED: "to be registered", _Status.ACTIVE: "registered", _Status.REFUSED: "refused"}


@dataclass(frozen=True)
class CallbackCounts:
    """What was counted within a span; `refused` goes by reason, `milliseconds` is a sum over `announced`."""

    received: int = 0
    verified: int = 0
    woken: int = 0
    announced: int = 0
    unannounced: int = 0
    milliseconds: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        """The mean time from a callback to its event; None where there was none."""
        return self.milliseconds / self.announced / 1000 if self.announced else None

    @property
    def refused_in_all(self) -> int:
        """Of all reasons."""
        return sum(self.refused.values())

    @property
    def reasons(self) -> str:
        """Why callbacks were refused, the most frequent first: `wrong signature: 2, repeated: 1`."""
        return ", ".join(f"{reason}: {count:,}" for reason, count in Counter(self.refused).most_common())


@dataclass(frozen=True)
class TypeTrust:
    """One callback type; blank where nobody knows: what was refused. Without a registration nothing is wanted of it."""

    type: str
    registration: RegistrationRow | None
    day: CallbackCounts
    week: CallbackCounts

    @property
    def silent(self) -> bool:
        """Whether polls find changes that none of its callbacks announced, and none is heard."""
        return self.registration is not None and self.registration.silent_since is not None

    @property
    def word(self) -> str:
        """How its registration stands, in a word for people."""
        if self.registration is None:
            return ""
        return "silent" if self.silent else _WORDS[self.registration.status]

    @property
    def resources(self) -> str:
        """The resources whose changes it announces."""
        return ", ".join(self.registration.resources) if self.registration is not None else ""


@dataclass(frozen=True)
class Stretch:
    """What a longer interval would save, in minutes and requests a day; `share` is that of the budget, in percent."""

    minutes: int
    to_minutes: int
    changes: int
    requests: int
    share: float


@dataclass(frozen=True)
class CallbackTrust:
    """All of an instance's; nothing where callbacks are off and nothing is registered any more."""

    enabled: bool
    registrations: RegistrationReport | None
    types: list[TypeTrust]
    stretch: Stretch | None


def trust_of(instance: Instance, now: datetime) -> CallbackTrust:
    """Return how far an instance's callbacks can be relied on: four queries, one where they are off."""
    report = report_registrations(instance)
    if report is None:
        return CallbackTrust(instance.callbacks_enabled, None, [], None)
    day, week = _counts(instance, now)
    rows = {row.type: row for row in report.rows}
    nothing = CallbackCounts()
    types = [
        TypeTrust(type_, rows.get(type_), day.get(type_, nothing), week.get(type_, nothing))
        for type_ in sorted(rows.keys() | week.keys(), key=lambda type_: (not type_, type_))
    ]
    return CallbackTrust(instance.callbacks_enabled, report, types, _stretch(instance, report, types, now))


def _counts(instance: Instance, now: datetime) -> tuple[dict[str, CallbackCounts], dict[str, CallbackCounts]]:
    """Return the counts of the last day and of the last week, by type."""
    day, week = (hour_of(now) - (hours - 1) * HOUR for hours in (DAY_HOURS, WEEK_HOURS))
    rows = CallbackCount.objects.filter(instance=instance, hour__gte=week).values_list("type", "name").order_by()
    of_day: dict[str, dict[str, int]] = {}
    of_week: dict[str, dict[str, int]] = {}
    for type_, name, all_, last in rows.annotate(n=Sum("count"), last=Sum("count", filter=Q(hour__gte=day))):
        of_week.setdefault(type_, {})[name] = all_
        of_day.setdefault(type_, {})[name] = last or 0
    return _read_all(of_day), _read_all(of_week)


def _read_all(by_type: Mapping[str, Mapping[str, int]]) -> dict[str, CallbackCounts]:
    return {
        type_: CallbackCounts(
            received=counts.get(RECEIVED, 0),
            verified=counts.get(VERIFIED, 0),
            woken=counts.get(WOKEN, 0),
            announced=counts.get(ANNOUNCED, 0),
            unannounced=counts.get(UNANNOUNCED, 0),
            milliseconds=counts.get(MILLISECONDS, 0),
            refused={
                name.removeprefix(REFUSED): count
                for name, count in counts.items()
                if name.startswith(REFUSED) and count
            },
        )
        for type_, counts in by_type.items()
    }


def _stretch(instance: Instance, report: RegistrationReport, types: list[TypeTrust], now: datetime) -> Stretch | None:
    """Return what a longer interval would save, once a week says that callbacks announce all that polls find."""
    minutes, changes = instance.refresh_interval, sum(one.week.announced for one in types)
    if not report.rows or report.problem or report.key_problem or report.without or not instance.callbacks_enabled:
        return None
    registered = all(row.since is not None and row.since <= now - WEEK for row in report.rows)
    missed = any(one.week.unannounced for one in types)
    if not (registered and report.all_active) or missed or changes < ENOUGH or minutes >= STRETCHED:
        return None
    polls = sum(len(row.resources) for row in report.rows)
    saved = round(polls * MINUTES_OF_A_DAY * (1 / minutes - 1 / STRETCHED))
    return Stretch(minutes, STRETCHED, changes, saved, 100 * saved / (BUDGET * MINUTES_OF_A_DAY))
