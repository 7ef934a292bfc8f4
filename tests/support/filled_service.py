"""A service of any size by itself: instances, polls, runs, events and all that hangs on them, over thirty days.

Written by SQL, so that a million events take half a minute. One instance has a fifth of all events; of a hundred
instances one has its keys refused, one a rejected poll, one held deletes, one its delivery paused, one a failing
receiver, one its events off; and of ten one each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.db import connection, transaction

from cwconnect.core.bulk_sql import Row, db_timestamp, insert
from instances.models import AuditEntry, Instance, Organization, ResourcePoll
from instances.secrets import Secret
from polling.delivery.breaker import url_hash
from polling.delivery.first_subscriptions import first_subscription
from polling.log.event_ids import go_on_after
from polling.models import (
    Alert,
    AlertDestination,
    AlertSend,
    BulkJob,
    BulkRefusal,
    DeliveryAttempt,
    DeliveryState,
    Event,
    Health,
    MissingRecord,
    Notification,
    PollRun,
    PollState,
    Receiver,
    RecordSnapshot,
    Replay,
    Subscription,
    SubscriptionEvent,
)
from polling.reports import event_hours, name_index, receiver_hours
from polling.workers.heartbeats import Part, beat
from tests.support.rows import complete_copy, further_subscription

RESOURCES = ("contacts", "incidents", "organizations")
DAYS = 30
PER_NOTIFICATION = 4
HELD = 30
PAUSED, FAILING, OFF = 4, 5, 6  # the places of such instances in each hundred
_NEEDING_A_PERSON = (Health.UNAUTHORIZED, Health.REJECTED, Health.HELD)
_BATCH = 20_000
_MOST_HELD = 300
_RECORD = '{"id":%d,"firstName":"%s","lastName":"%s","title":"Engineer","_info":{"lastUpdated":"…"}}'
_FIRST_NAMES = ("Ada", "Ruth", "Nora", "Olga", "Ivan", "Émile", "Sven", "Maria", "Yuki", "Amir", "Lea")
_LAST_NAMES = ("Lovelace", "Berg", "O'Brien", "Meyer", "Tanaka", "Haddad", "Novák", "Rossi", "Dubois")
RARE = 7  # the record of Ruth Lindqvist, whom a log has once in so many records


@dataclass(frozen=True)
class Filled:
    """What there is to look at: the busiest instance with its first poll, and the newest row of each kind."""

    instances: list[Instance]
    polls: list[ResourcePoll]
    now: datetime

    @property
    def busiest(self) -> Instance:
        """The instance with a fifth of all events."""
        return self.instances[0]


def fill(organization: Organization, *, instances: int, events: int, now: datetime) -> Filled:
    """Write a service with so many instances of three resources each and so many events, the last seen at `now`."""
    with transaction.atomic():
        made = _instances(organization, instances)
        polls = _polls(made, now)
        _states(organization, made, polls, now)
        runs = _runs(polls, events // PER_NOTIFICATION, now)
        _events_and_notifications(made, polls, runs, events, now)
        _beside(organization, made, events, now)
        _subscriptions(organization, made[0], 20 if instances >= 50 else 3, events, now)
    beat(Part.CLUSTER, "here", at=now)
    event_hours.advance(now)
    receiver_hours.advance(now)
    for _ in range(1 + events // 200_000):
        name_index.advance(now)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return Filled(made, polls, now)


def _instances(organization: Organization, count: int) -> list[Instance]:
    key = Secret.of("key")
    return [
        Instance.objects.create(
            organization=organization,
            name=f"Company {number:04}",
            token_hash=f"hash {organization.pk} {number}",
            base_url="https://api-na.myconnectwise.net/v4_6_release/apis/3.0",
            company=f"company{number}",
            public_key=key,
            private_key=key,
            events_enabled=number % 100 != OFF,
            callback_url=f"https://example.com/hooks/{number}?code=hush",
        )
        for number in range(count)
    ]


def _polls(instances: Sequence[Instance], now: datetime) -> list[ResourcePoll]:
    since = now - timedelta(days=DAYS)
    return ResourcePoll.objects.bulk_create(
        ResourcePoll(instance=instance, name=name, since=since, configuration={"detectDeletes": True})
        for instance in instances
        for name in RESOURCES
    )


def _states(
    organization: Organization, instances: Sequence[Instance], polls: Sequence[ResourcePoll], now: datetime
) -> None:
    healths = {
        polls[number * len(RESOURCES)].pk: health
        for place, health in enumerate(_NEEDING_A_PERSON, 1)
        for number in range(place, len(instances), 100)
    }
    PollState.objects.bulk_create(
        PollState(
            resource_poll=poll,
            site=f"site {poll.instance_id}",
            host="api-na.myconnectwise.net",
            health=healths.get(poll.pk, Health.HEALTHY),
            last_error="ConnectWise says so." if poll.pk in healths else "",
            cursor=now,
            last_good_at=now,
            next_poll_at=now + timedelta(minutes=15),
        )
        for poll in polls
    )
    held = [key for key, health in healths.items() if health == Health.HELD]
    known = [(key, number, 1, bytes(16), False) for key in held for number in range(HELD)]
    insert(RecordSnapshot, ("resource_poll_id", "record_id", "stamp", "digest", "gone"), known)
    absent = [(key, number, MissingRecord.Status.HELD) for key in held for number in range(HELD)]
    insert(MissingRecord, ("resource_poll_id", "record_id", "status"), absent)
    receivers = Receiver.objects.bulk_create(
        Receiver(
            organization=organization,
            url_hash=f"hash {number}",
            url=instance.callback_url,
            failures=20 if number % 100 == FAILING else 0,
            opened_at=now if number % 100 == FAILING else None,
            open_until=now if number % 100 == FAILING else None,
        )
        for number, instance in enumerate(instances)
    )
    DeliveryState.objects.bulk_create(
        DeliveryState(
            subscription=first_subscription(instance),
            receiver=receiver,
            paused_at=now if number % 100 == PAUSED else None,
            pause_reason="Its tries are used up." if number % 100 == PAUSED else "",
            last_delivered_at=now,
        )
        for number, (instance, receiver) in enumerate(zip(instances, receivers, strict=True))
    )


def _runs(polls: Sequence[ResourcePoll], count: int, now: datetime) -> range:
    """Write one run for each notification, the polls in turn; give their ids."""
    before = PollRun.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    columns = ("id", "resource_poll_id", "kind", "status", "page", "reached_id", "records", "events", "skipped")
    step = timedelta(days=DAYS) / max(count, 1)
    rows = (
        (
            *(before + number, polls[_whose(number, len(polls))].pk, "poll", "complete", 1, 4, 4, PER_NOTIFICATION, 0),
            *("", "", "[]", at, at),
        )
        for number in range(1, count + 1)
        for at in [db_timestamp(now - (count - number) * step)]
    )
    _insert(PollRun, (*columns, "notes", "error", "held", "started_at", "finished_at"), rows)
    return range(before + 1, before + count + 1)


def _whose(number: int, polls: int) -> int:
    """Return the place of the poll of a run: every fifth is the busiest instance's, the others go by turns."""
    return 0 if number % 5 == 0 else number % polls


def _events_and_notifications(
    instances: Sequence[Instance], polls: Sequence[ResourcePoll], runs: Sequence[int], events: int, now: datetime
) -> None:
    paused = {instance.pk for number, instance in enumerate(instances) if number % 100 == PAUSED}
    urls = {instance.pk: instance.callback_url for instance in instances}
    records = max(20, events // 200)  # a page full of events of one object, in a small log too
    step = timedelta(days=DAYS) / max(len(runs), 1)
    sent: list[Row] = []
    recorded: list[Row] = []
    tried: list[Row] = []
    for number, run in enumerate(runs, 1):
        poll = polls[_whose(number, len(polls))]
        key, at = 1 + (number - 1) * PER_NOTIFICATION, db_timestamp(now - (len(runs) - number) * step)
        state = _state(number, len(runs), waits=poll.instance_id in paused)
        sent.append(_notification(key, poll, state, at))
        recorded += [_event(key + place, key, run, poll, at, records) for place in range(PER_NOTIFICATION)]
        tried.append((key, urls[poll.instance_id], at, at, 0.05, *_answer(state), "{}", "", False))
        if len(sent) * PER_NOTIFICATION >= _BATCH:
            _write(sent, recorded, tried)
            sent, recorded, tried = [], [], []
    _write(sent, recorded, tried)
    go_on_after(events)


def _state(number: int, count: int, *, waits: bool) -> str:
    if waits and number > count - count // 100:
        return "exhausted"
    return "failed" if number % 500 == 7 else "pending" if number > count - 3 else "delivered"


def _answer(state: str) -> tuple[int | None, str, str]:
    return (204, "", "") if state == "delivered" else (500, "status", "It answered 500.")


def _notification(key: int, poll: ResourcePoll, state: str, at: object) -> tuple[object, ...]:
    delivered = at if state == "delivered" else None
    fixed = (key, poll.instance_id, poll.name, f"msg_{key}", '{"message":{}}', PER_NOTIFICATION, state, 1, "")
    return (*fixed, at if state == "failed" else None, at, delivered)


def _event(key: int, notification: int, run: int, poll: ResourcePoll, at: object, records: int) -> tuple[object, ...]:
    record = key % records
    kind = "DELETED" if key % 1000 == 9 else "CREATED" if key % 10 == 1 else "UPDATED"
    ids = (key, poll.instance_id, poll.pk, run, notification, poll.name, str(record), record)
    first, last = name_of(record)
    return (*ids, kind, at, at, _RECORD % (record, first, last), f"{first} {last}")


def name_of(record: int) -> tuple[str, str]:
    """Return the first and last name of a record's person: Ruth Lindqvist is one alone."""
    if record == RARE:
        return "Ruth", "Lindqvist"
    return _FIRST_NAMES[record % len(_FIRST_NAMES)], f"{_LAST_NAMES[record % len(_LAST_NAMES)]}-{record // 99}"


def _write(sent: list[Row], recorded: list[Row], tried: list[Row]) -> None:
    columns = (
        "id",
        "instance_id",
        "object_type",
        "webhook_id",
        "body",
        "event_count",
        "state",
        "step",
        "last_error",
        "given_up_at",
    )
    insert(Notification, (*columns, "created_at", "delivered_at"), sent)
    ids = ("id", "instance_id", "resource_poll_id", "run_id", "notification_id", "object_type", "object_id")
    insert(Event, (*ids, "record_id", "kind", "occurred_at", "polled_at", "record", "title"), recorded)
    answer = ("seconds", "status", "error_kind", "error", "request_headers", "response", "replay")
    insert(DeliveryAttempt, ("notification_id", "url", "started_at", "finished_at", *answer), tried)


def _beside(organization: Organization, instances: Sequence[Instance], events: int, now: datetime) -> None:
    """Write what people did, and what they were answered."""
    count = max(events // 1000, 3)
    Replay.objects.bulk_create(
        Replay(instance=instances[n % len(instances)], asked_at=now, what="chosen notifications", total=4, delivered=4)
        for n in range(count)
    )
    Alert.objects.bulk_create(
        Alert(
            kind=Alert.Kind.PAUSED,
            organization=organization,
            instance=instances[n % len(instances)],
            text="Delivery is paused.",
            created_at=now,
            resolved_at=None if n < len(instances) and n % 100 == PAUSED else now,
        )
        for n in range(count)
    )
    jobs = BulkJob.objects.bulk_create(
        BulkJob(organization=organization, asked_at=now, title="Poll them now", total=1000, done=1000, refused=500)
        for _ in range(count)
    )
    BulkRefusal.objects.bulk_create(
        BulkRefusal(job=jobs[-1], instance_id=number, name=f"Company {number:04}", reason="It is disabled.")
        for number in range(len(instances) // 2)
    )
    for _ in range(count):
        complete_copy(instances[0])
    _alert_destinations(organization, now)
    AuditEntry.objects.bulk_create(
        AuditEntry(organization=organization, actor="account olga", action="delivery released", subject="an instance")
        for _ in range(count)
    )


def _subscriptions(organization: Organization, instance: Instance, count: int, events: int, now: datetime) -> None:
    """Write further subscriptions of an instance, with what waits for each, and what its filter held back."""
    newest = list(
        Event.objects.filter(instance=instance).order_by("-pk").values_list("pk", flat=True)[: 30 + _MOST_HELD]
    )
    carried, held = newest[:30], newest[30:]
    for number in range(count):
        one = further_subscription(
            instance,
            instance.pk * 100 + number,
            callback_url=f"https://example.com/further/{number}",
            filter='{"kinds":["DELETED"]}',
            held=len(held),
            catching_up_to=events if number % 3 == 1 else None,
        )
        receiver = Receiver.objects.create(
            organization=organization, url=one.callback_url, url_hash=url_hash(one.callback_url)
        )
        DeliveryState.objects.create(subscription=one, receiver=receiver, last_delivered_at=now)
        _waits_for(one, events + 1 + number * HELD, now)
        columns = ("subscription_id", "event_id", "notification_id", "held_by", "not_judged")
        last = events + (number + 1) * HELD
        insert(SubscriptionEvent, columns, [(one.pk, key, last - n, "", "") for n, key in enumerate(carried)])
        insert(SubscriptionEvent, columns, [(one.pk, key, None, "kinds: UPDATED", "") for key in held])
    go_on_after(events + count * HELD)


def _waits_for(subscription: Subscription, first: int, now: datetime) -> None:
    """Write notifications that wait for a subscription, each tried once, from an id on."""
    keys, at, owner = range(first, first + HELD), db_timestamp(now), subscription.instance_id
    waits = [(key, owner, subscription.pk, "contacts", f"msg_{key}", "{}", 1, "pending", 1, "", at) for key in keys]
    columns = ("id", "instance_id", "subscription_id", "object_type", "webhook_id", "body", "event_count", "state")
    insert(Notification, (*columns, "step", "last_error", "created_at"), waits)
    answer = (500, "status", "It answered 500.", "{}", "", False)
    tries = [(key, subscription.callback_url, at, at, 0.05, *answer) for key in keys]
    of_answer = ("seconds", "status", "error_kind", "error", "request_headers", "response", "replay")
    insert(DeliveryAttempt, ("notification_id", "url", "started_at", "finished_at", *of_answer), tries)


def _alert_destinations(organization: Organization, now: datetime) -> None:
    """Write where warnings go, and that each went to all of it."""
    places = [
        AlertDestination.objects.create(organization=organization, name=f"Channel {n}", kind="slack", since=now)
        for n in range(3)
    ]
    AlertSend.objects.bulk_create(
        AlertSend(alert=alert, destination=place, place=str(place), state=AlertSend.State.SENT, sent_at=now)
        for alert in Alert.objects.filter(organization=organization)
        for place in places
    )


def _insert(model: type[PollRun], columns: Sequence[str], rows: Iterator[tuple[object, ...]]) -> None:
    while batch := list(islice(rows, _BATCH)):
        insert(model, columns, batch)
