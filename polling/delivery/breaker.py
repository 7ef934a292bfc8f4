"""The breaker of a receiver: after failures in a row it lets one notification at a time try, and the others wait.

A receiver is a callback URL of an organization. Five failures in a row, of whatever notification, open its breaker.
From then on what comes due for it is *held*: it loses its due time, and uses up no step of its schedule. One
notification at a time, the oldest, probes; failed probes are spaced from 5 s to 5 min. The first delivery closes the
breaker, and everything held is due at once.

All of it stands in the `Receiver` row, so that it holds for every worker and outlives each of them. A probe is taken by
moving `open_until` to the end of the notification's lease: one that dies with its worker is repeated after that.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, QuerySet

from cwconnect.core.bulk_sql import db_timestamp, keys
from cwconnect.core.one_statement import time_of
from cwconnect.core.statements import AMONG, GIVEN, rows_of
from cwconnect.outbound.origin import origin_of
from polling.alerts import delivery_alerts
from polling.delivery.first_subscriptions import ensure_first
from polling.delivery.pausing import BLOCKED, REPLAYED, SENDING, make_due, rearm
from polling.models import Alert, DeliveryState, Notification, Receiver, Subscription
from polling.models.deliveries import TO
from polling.workers.leases import free

OPEN_AFTER = 5
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=5)

# The head of an index of each subscription, as `_OLDEST` in detection/event_log.py: what it has delivered is not read,
# however much that is.
_HEADS = """SELECT (
    SELECT id FROM polling_notification AS held
    WHERE COALESCE(subscription_id, instance_id) BETWEEN given.value AND given.value
        AND NOT state IN ('delivered', 'failed', 'discarded') AND state = 'pending'
        AND next_attempt_at IS NULL AND (lease_until IS NULL OR lease_until < %s)
        AND COALESCE((
            SELECT state NOT IN ('pending', 'exhausted') FROM polling_notification AS followed
            WHERE followed.id = held.follows_id
        ), TRUE)
    ORDER BY COALESCE(subscription_id, instance_id), id LIMIT 1
) FROM {given}
"""
# With the receiver that a subscription is linked to, which may still be that of a former URL.
_TARGETS = {
    vendor: f"""SELECT polling_subscription.id, instances_instance.organization_id,
    CASE WHEN polling_subscription.id = polling_subscription.instance_id
        THEN instances_instance.callback_url ELSE polling_subscription.callback_url END,
    receiver_id, polling_receiver.organization_id, polling_receiver.url
FROM polling_subscription JOIN instances_instance ON instances_instance.id = polling_subscription.instance_id
LEFT JOIN polling_deliverystate ON polling_deliverystate.instance_id = polling_subscription.id
LEFT JOIN polling_receiver ON polling_receiver.id = receiver_id
WHERE polling_subscription.id {among} AND polling_subscription.deleted_at IS NULL
    AND instances_instance.organization_id IS NOT NULL
"""  # noqa: S608  (constants)
    for vendor, among in AMONG.items()
}
_LOCK_OPEN = {
    "postgresql": "SELECT id, holds FROM polling_receiver WHERE id = ANY(%s) AND open_until IS NOT NULL"
    " ORDER BY id FOR UPDATE SKIP LOCKED",
    "sqlite": "SELECT id, holds FROM polling_receiver WHERE id IN (SELECT value FROM json_each(%s))"
    " AND open_until IS NOT NULL",
}
_PAST_LOCKED = {"postgresql": " FOR UPDATE SKIP LOCKED", "sqlite": ""}
_HOLD = {
    vendor: f"""UPDATE polling_notification SET next_attempt_at = NULL WHERE id IN (
    SELECT id FROM polling_notification
    WHERE id {among} AND next_attempt_at <= %s AND (lease_until IS NULL OR lease_until < %s)
        AND COALESCE(subscription_id, instance_id) IN (
            SELECT instance_id FROM polling_deliverystate WHERE receiver_id {among}
        ){_PAST_LOCKED[vendor]}
) RETURNING id
"""  # noqa: S608  (constants)
    for vendor, among in AMONG.items()
}
_OPEN = "SELECT id, CAST(open_until AS text), holds FROM polling_receiver WHERE open_until IS NOT NULL"


@dataclass(frozen=True)
class Target:
    """Where a subscription's notifications go: the row of its breaker, and the host in whose share they are."""

    subscription_id: int
    url: str
    host: str
    receiver_id: int


@dataclass(frozen=True)
class Opened:
    """An open breaker: when it may be probed, and whether it holds anything."""

    until: datetime
    holds: bool


@dataclass(frozen=True)
class Probe:
    """A notification that tries an open receiver."""

    notification_id: int
    subscription_id: int


@dataclass(frozen=True)
class ReceiverResults:
    """What attempts at one receiver came to: how many failed, whether one was delivered, what the last failure was."""

    receiver_id: int
    delivered: bool
    failures: int
    probed: bool = False
    retry_after: float = 0.0
    reason: str = ""


def host_of(url: str) -> str:
    """Return host and port in one spelling, whatever the URL's: `HTTPS://Example.com./a` and `https://example.com:443`."""
    try:
        _, host, port = origin_of(url)
    except ValueError:  # a port that is none: the outbound client refuses it, in words
        return url
    return f"{host}:{port}"


def url_hash(url: str) -> str:
    """Return the key of a callback URL: it may be too long for an index."""
    return hashlib.sha256(url.encode()).hexdigest()


def probe_wait(probes: int, retry_after: float = 0.0) -> timedelta:
    """Return the time to the next probe after `probes` failed ones, jittered by a fifth; five minutes at most.

    `retry_after` (seconds) is what the receiver asked for.
    """
    doublings = float(2 ** min(probes, 10))
    wait = FIRST_WAIT * doublings * random.uniform(0.8, 1.2)  # noqa: S311  (jitter)
    return min(max(wait, timedelta(seconds=retry_after)), LONGEST_WAIT)


def targets_of(subscription_ids: Collection[int]) -> dict[int, Target]:
    """Return the targets of these subscriptions, those of deleted instances excepted, linked to their breakers' rows.

    An id that no subscription has may be of an instance that a process of the version before made.
    """
    rows = rows_of(_TARGETS, [keys(subscription_ids)])
    if missing := set(subscription_ids).difference(row[0] for row in rows):
        ensure_first(missing)
        rows += rows_of(_TARGETS, [keys(missing)])
    linked = {pk: receiver for pk, organization, url, receiver, *its in rows if its == [organization, url]}
    others = [(pk, organization, url) for pk, organization, url, *_ in rows if pk not in linked]
    receivers = _receivers({(organization, url) for _, organization, url in others}) if others else {}
    receiver_of = linked | {pk: receivers[organization, url] for pk, organization, url in others}
    found = {pk: Target(pk, url, host_of(url), receiver_of[pk]) for pk, _, url, *_ in rows}
    _link([found[pk] for pk, *_ in others])
    return found


def _receivers(wanted: Collection[tuple[int, str]]) -> Mapping[tuple[int, str], int]:
    found = known_receivers(wanted)
    missing = sorted(set(wanted) - found.keys())
    if not missing:
        return found
    rows = [Receiver(organization_id=organization, url=url, url_hash=url_hash(url)) for organization, url in missing]
    Receiver.objects.bulk_create(rows, ignore_conflicts=True)
    return known_receivers(wanted)


def known_receivers(wanted: Collection[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Return the receivers that there are of these organizations and URLs, by both."""
    rows = Receiver.objects.filter(
        organization_id__in={organization for organization, _ in wanted},
        url_hash__in={url_hash(url) for _, url in wanted},
    )
    return {(organization, url): pk for pk, organization, url in rows.values_list("pk", "organization_id", "url")}


def _link(targets: Sequence[Target]) -> None:
    if not targets:
        return
    rows = sorted((target.subscription_id, target.receiver_id) for target in targets)
    DeliveryState.objects.bulk_create(
        [DeliveryState(subscription_id=subscription, receiver_id=receiver) for subscription, receiver in rows],
        update_conflicts=True,
        unique_fields=["subscription"],
        update_fields=["receiver"],
    )


def open_receivers() -> dict[int, Opened]:
    """Return the receivers whose breaker is open."""
    return {pk: Opened(time_of(until), bool(holds)) for pk, until, holds in rows_of(_OPEN, ())}


def hold(notifications: Collection[int], receiver_ids: Collection[int], now: datetime) -> None:
    """Take the due time from these notifications of open receivers, so that no claim has to look past them.

    Those are left that are not theirs any more, those that somebody works on (as `take_due_times` says why), and those
    of receivers that somebody writes: what waits for a result to be written could wait for a whole backlog made due.
    """
    with transaction.atomic():
        # Locked, so that a delivery which closes a breaker comes before this or sees what this holds.
        opened = rows_of(_LOCK_OPEN, [keys(receiver_ids)])
        if unaware := [key for key, holds in opened if not holds]:
            Receiver.objects.filter(pk__in=unaware).update(holds=True)
        if opened:
            at = db_timestamp(now)
            rows_of(_HOLD, [keys(notifications), at, at, keys([key for key, _ in opened])])


def take_probe(receiver_id: int, among: QuerySet[Notification], now: datetime, until: datetime) -> Probe | None:
    """Make the oldest notification held by a receiver due, as its probe until `until`; give it.

    None if nothing of `among` is held, or the time for a probe has not come.
    """
    with transaction.atomic():
        mine = _locked(receiver_id).filter(open_until__lte=now, holds=True)
        if not mine.update(open_until=until):
            return None
        oldest = _oldest_held(receiver_id, now)
        found = among.filter(pk__in=oldest).values_list("pk", TO).first()
        if found is None or not make_due(Notification.objects.filter(pk=found[0]), now):
            Receiver.objects.filter(pk=receiver_id).update(open_until=now, holds=bool(oldest))
            return None
        return Probe(*found)


def give_back_probes(receiver_ids: Iterable[int], now: datetime) -> None:
    """Let others probe: these probes were not claimed after all."""
    Receiver.objects.filter(pk__in=list(receiver_ids), open_until__isnull=False).update(open_until=now)


def count_failures(results_of_receivers: Iterable[ReceiverResults], now: datetime) -> None:
    """Open breakers by what attempts came to; inside the transaction that writes their results."""
    for results in sorted(results_of_receivers, key=lambda results: results.receiver_id):
        if not results.delivered and results.failures:
            _count_failures(results, now)


def close(receiver_ids: Collection[int], now: datetime) -> None:
    """Close the breakers of these receivers, which took something, and count their failures from none again."""
    failing = Receiver.objects.filter(pk__in=receiver_ids, failures__gt=0).order_by("pk").select_for_update()
    for receiver in list(failing):
        held = receiver.holds
        was_open = receiver.open_until is not None
        receiver.failures = receiver.probes = 0
        receiver.open_until, receiver.opened_at, receiver.holds = None, None, False
        receiver.save(update_fields=["failures", "probes", "open_until", "opened_at", "holds"])
        if was_open:
            delivery_alerts.resolve(Alert.objects.filter(receiver=receiver), now)
        if held:
            theirs = Subscription.objects.filter(delivery_state__receiver=receiver).select_related("instance")
            for subscription in theirs.order_by("pk"):
                rearm(subscription, now)


def _count_failures(results: ReceiverResults, now: datetime) -> None:
    rows = Receiver.objects.filter(pk=results.receiver_id)
    rows.update(failures=F("failures") + results.failures)
    opened = rows.filter(failures__gte=OPEN_AFTER, open_until=None).update(
        open_until=now + probe_wait(0, results.retry_after), opened_at=now, probes=0
    )
    if opened:
        delivery_alerts.warn_of_breaker(rows.select_related("organization").get(), results.reason, now)
    elif results.probed:
        probes = rows.values_list("probes", flat=True).get() + 1
        rows.filter(open_until__isnull=False).update(
            probes=probes, open_until=now + probe_wait(probes, results.retry_after)
        )


def _locked(receiver_id: int) -> QuerySet[Receiver]:
    """Return the row to update as a transaction's first statement, which locks it."""
    return Receiver.objects.filter(pk=receiver_id)


def _oldest_held(receiver_id: int, now: datetime) -> list[int]:
    """Return the oldest of what the receiver's breaker holds: on its way, waiting for no other and for no release."""
    sending = Subscription.objects.filter(SENDING, delivery_state__receiver=receiver_id, delivery_state__paused_at=None)
    ids = dict(sending.values_list("pk", "instance_id"))
    heads = rows_of(_HEADS.format(given=GIVEN[connection.vendor]), [db_timestamp(now), keys(ids)])
    replayed = Notification.objects.filter(REPLAYED, free(now), next_attempt_at=None, instance__in=set(ids.values()))
    replays = replayed.to(list(ids)).exclude(BLOCKED)  # by their instances too, which indexes have
    # Few are sent again, so they are sorted: by its index of ids PostgreSQL would look for them among all there are.
    found = [*(key for (key,) in heads if key), *replays.order_by(F("pk") + 0).values_list("pk", flat=True)[:1]]
    return sorted(found)[:1]
