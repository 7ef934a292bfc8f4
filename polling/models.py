"""What changed, and who was told: polls and their runs, known records, events, notifications, attempts."""

from __future__ import annotations

from django.db import models

from instances.models import Instance, Organization, ResourcePoll
from polling.tally import Tally as Tally  # Django looks for models here
from polling.v1.models import IdempotentAnswer as IdempotentAnswer  # Django looks for models here


class Leased(models.Model):
    """Something that one worker at a time may work on (see leases.py)."""

    lease_token = models.CharField(max_length=32, null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True


def leased(name: str) -> models.Index:
    """Give the index by which claimed rows are read back: of the few under a lease, however many there are."""
    return models.Index(fields=["lease_token"], name=name, condition=models.Q(lease_token__isnull=False))


class Health(models.TextChoices):
    """How a resource poll fares, in words for people."""

    HEALTHY = "healthy", "Healthy"
    RETRYING = "retrying", "Retrying"
    RATE_LIMITED = "rate limited", "Rate limited"
    REJECTED = "rejected", "Rejected"
    UNAUTHORIZED = "unauthorized", "Unauthorized"
    HELD = "held", "Held"
    PAUSED = "paused", "Paused"


class PollState(Leased):
    """Where a resource poll stands. `cursor` is ConnectWise's clock; every other time is ours."""

    resource_poll = models.OneToOneField(ResourcePoll, on_delete=models.CASCADE, primary_key=True, related_name="state")
    site = models.CharField(max_length=64, help_text="The ConnectWise company whose limits it shares.")
    host = models.CharField(max_length=255, help_text="The host that its requests go to.")
    next_poll_at = models.DateTimeField(null=True, help_text="Empty while the poll is paused or stopped.")
    next_sweep_at = models.DateTimeField(null=True, help_text="When deletes are looked for next.")
    cursor = models.DateTimeField(null=True, help_text="ConnectWise's clock when the last complete run began.")
    health = models.CharField(max_length=20, choices=Health.choices, default=Health.HEALTHY)
    failures = models.PositiveIntegerField(default=0, help_text="Failed runs since the last good one.")
    last_error = models.TextField(blank=True)
    last_good_at = models.DateTimeField(null=True)
    baseline_at = models.DateTimeField(null=True, help_text="When the first sweep for deletes was complete.")
    sweep_failures = models.PositiveIntegerField(default=0, help_text="Failed sweeps since the last good one.")
    sweep_error = models.TextField(blank=True, help_text="Why the last sweep failed.")

    class Meta:
        indexes = [
            leased("poll_leased"),
            models.Index(fields=["next_poll_at"], name="poll_due", condition=models.Q(next_poll_at__isnull=False)),
            models.Index(fields=["next_sweep_at"], name="sweep_due", condition=models.Q(next_sweep_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.resource_poll}: {self.get_health_display()}"


class Site(models.Model):
    """A ConnectWise company as rate limits see it: one wait for all polls of it, whoever's instance they serve."""

    key = models.CharField(max_length=64, primary_key=True)
    blocked_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.key[:12]} until {self.blocked_until}"


class PollRun(models.Model):
    """One run over a window, page by page; an open one is carried on by whoever claims its poll next."""

    class Kind(models.TextChoices):
        """What the run reads."""

        POLL = "poll", "Poll"
        BACKFILL = "backfill", "Backfill"
        SWEEP = "sweep", "Sweep for deletes"
        REPAIR = "repair", "Repair"

    class Status(models.TextChoices):
        """How far it got."""

        OPEN = "open", "Open"
        COMPLETE = "complete", "Complete"
        FAILED = "failed", "Failed"
        ABANDONED = "abandoned", "Abandoned"

    resource_poll = models.ForeignKey(ResourcePoll, on_delete=models.CASCADE, related_name="runs")
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.POLL)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.OPEN)
    opening = models.DateTimeField(null=True, help_text="The window's start, ConnectWise's clock.")
    first_date = models.DateTimeField(null=True, help_text="ConnectWise's Date at the first page: the next cursor.")
    newest_stamp = models.DateTimeField(null=True, help_text="The newest stamp read, for want of a Date.")
    page = models.PositiveIntegerField(default=0, help_text="Pages committed.")
    reached_id = models.BigIntegerField(default=0, help_text="The last id of the last page committed.")
    records = models.PositiveIntegerField(default=0)
    events = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0, help_text="Records that could not be used.")
    notes = models.TextField(blank=True, help_text="Why records were skipped, the first few of them.")
    error = models.TextField(blank=True)
    held = models.JSONField(default=list, blank=True, help_text="Ids that a sweep found gone and holds back.")
    listed_at = models.DateTimeField(null=True, help_text="When a sweep had read the last id: the date of its deletes.")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["resource_poll", "kind"], condition=models.Q(status="open"), name="one_open_run_of_a_kind"
            )
        ]
        indexes = [models.Index(fields=["-started_at"], name="run_newest")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"


class KnownRecord(models.Model):
    """A row of ConnectWise as last read: kept narrow, for as long as its resource is polled.

    `stamp` is Unix seconds; `digest` is a version byte and the content's hash, or a lone zero byte for a row that was
    met by its id alone, or found gone (see changes.py).
    """

    pk = models.CompositePrimaryKey("resource_poll_id", "record_id")
    resource_poll = models.ForeignKey(ResourcePoll, on_delete=models.CASCADE, db_index=False, related_name="+")
    record_id = models.BigIntegerField()
    stamp = models.BigIntegerField(null=True)
    digest = models.BinaryField(max_length=16)
    gone = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"record {self.record_id}"


class KnownBody(models.Model):
    """The last text of a known record, kept only where deletes or field changes are asked for."""

    pk = models.CompositePrimaryKey("resource_poll_id", "record_id")
    resource_poll = models.ForeignKey(ResourcePoll, on_delete=models.CASCADE, db_index=False, related_name="+")
    record_id = models.BigIntegerField()
    body = models.TextField()

    class Meta:
        verbose_name_plural = "known bodies"

    def __str__(self) -> str:
        return f"body of record {self.record_id}"


class Absence(models.Model):
    """A row known and not gone that a sweep did not find, and what becomes of it. It goes when the row is seen again.

    Or, as `back`, the other way round: a row told as deleted that a sweep found again, to be read and told.
    """

    class Standing(models.TextChoices):
        """What becomes of the row."""

        MISSED = "missed", "Not found by the sweep under way"
        HELD = "held", "Held back for a person to decide"
        RELEASED = "released", "Released: told by the next sweep that does not find it either"
        DISMISSED = "dismissed", "Dismissed: not told, and not asked about again"
        BACK = "back", "Deleted, and found again"

    pk = models.CompositePrimaryKey("resource_poll_id", "record_id")
    resource_poll = models.ForeignKey(ResourcePoll, on_delete=models.CASCADE, db_index=False, related_name="+")
    record_id = models.BigIntegerField()
    standing = models.CharField(max_length=10, choices=Standing.choices, default=Standing.MISSED)

    class Meta:
        indexes = [models.Index(fields=["resource_poll", "standing", "record_id"], name="absence_by_standing")]

    def __str__(self) -> str:
        return f"record {self.record_id}: {self.standing}"


class LogPosition(models.Model):
    """The one row from which events take their ids.

    Its row lock is held from the taking to the commit, so ids become visible in their order: a reader that asks for
    what is after an id never overtakes a transaction still open.
    """

    last = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"event {self.last}"


class Replay(models.Model):
    """A person's request to send whole notifications again, and how far it came."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="replays")
    asked_at = models.DateTimeField()
    what = models.TextField(help_text="What was asked for, in words.")
    total = models.PositiveIntegerField(default=0)
    delivered = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0, help_text="Given up after the whole retry schedule.")

    class Meta:
        indexes = [models.Index(fields=["instance", "-id"], name="replay_newest")]

    def __str__(self) -> str:
        return f"replay {self.pk}: {self.what}"

    @property
    def left(self) -> int:
        """How many are still to be sent."""
        return max(0, self.total - self.delivered - self.failed)


class Notification(Leased):
    """One POST to a receiver: at most ten events, its bytes fixed at birth. Its id is that of its first event."""

    class State(models.TextChoices):
        """What becomes of it."""

        PENDING = "pending", "Pending"
        DELIVERED = "delivered", "Delivered"
        EXHAUSTED = "exhausted", "Exhausted, kept for release"
        FAILED = "failed", "Failed"
        DISCARDED = "discarded", "Discarded"

    id = models.BigIntegerField(primary_key=True)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False, related_name="notifications")
    object_type = models.CharField(max_length=200)
    webhook_id = models.CharField(max_length=40, unique=True)
    body = models.TextField()
    event_count = models.PositiveSmallIntegerField()
    follows = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        db_index=False,
        related_name="followers",
        help_text="Sent only after this one.",
    )
    state = models.CharField(max_length=20, choices=State.choices, default=State.PENDING)
    next_attempt_at = models.DateTimeField(null=True, help_text="Empty while it waits for another, or for a release.")
    step = models.PositiveSmallIntegerField(default=0, help_text="Steps of the retry schedule used up.")
    first_attempt_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField()
    replay = models.ForeignKey(
        Replay,
        on_delete=models.SET_NULL,
        null=True,
        db_index=False,
        related_name="notifications",
        help_text="Set while it is sent again; its state stays what it was.",
    )

    class Meta:
        indexes = [
            leased("notification_leased"),
            models.Index(fields=["follows"], name="notification_following", condition=models.Q(follows__isnull=False)),
            models.Index(
                fields=["next_attempt_at", "id", "instance"],  # instance: a look passes over full ones unread
                name="notification_due",
                condition=models.Q(next_attempt_at__isnull=False),
            ),
            models.Index(
                fields=["replay", "id"], name="notification_replayed", condition=models.Q(replay__isnull=False)
            ),
            models.Index(
                fields=["instance", "id"],
                name="notification_undelivered",
                condition=models.Q(state__in=["pending", "exhausted"]),
            ),
            models.Index(fields=["instance", "-id"], name="notification_newest"),
            models.Index(fields=["created_at"], name="notification_oldest"),
        ]

    UNDELIVERED = (State.PENDING, State.EXHAUSTED)
    TOLD_OR_GIVEN_UP = (State.DELIVERED, State.FAILED, State.DISCARDED)

    def __str__(self) -> str:
        return self.webhook_id


class Event(models.Model):
    """One change of one record, as told to the receiver."""

    class Kind(models.TextChoices):
        """What happened to the record (contract §5)."""

        CREATED = "CREATED", "Created"
        UPDATED = "UPDATED", "Updated"
        DELETED = "DELETED", "Deleted"

    id = models.BigIntegerField(primary_key=True)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False, related_name="events")
    resource_poll = models.ForeignKey(
        ResourcePoll, on_delete=models.SET_NULL, null=True, db_index=False, related_name="events"
    )
    run = models.ForeignKey(PollRun, on_delete=models.SET_NULL, null=True, related_name="event_set")
    notification = models.ForeignKey(Notification, on_delete=models.SET_NULL, null=True, related_name="events")
    object_type = models.CharField(max_length=200)
    object_id = models.CharField(max_length=200)
    record_id = models.BigIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    occurred_at = models.DateTimeField(help_text="When the record changed.")
    polled_at = models.DateTimeField(help_text="When the poll saw it.")
    record = models.TextField(help_text="The record as JSON text.")
    changes = models.TextField(null=True, help_text="The changed fields as JSON text, where they are tracked.")

    class Meta:
        indexes = [
            models.Index(fields=["instance", "-id"], name="event_newest"),
            models.Index(fields=["resource_poll", "record_id"], name="event_of_record"),
            models.Index(fields=["instance", "object_id"], name="event_by_object"),
            models.Index(fields=["polled_at"], name="event_polled"),
            models.Index(fields=["instance", "polled_at"], name="event_of_instance_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_type}/{self.object_id}"


class DeliveryAttempt(models.Model):
    """One POST: written before it is made, completed after it. Without an end it was cut off by a crash."""

    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="attempts")
    url = models.CharField(max_length=2000)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    seconds = models.FloatField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    error_kind = models.CharField(max_length=20, blank=True)
    error = models.TextField(blank=True)
    request_headers = models.JSONField(default=dict, help_text="Without those that hold secrets.")
    response = models.TextField(blank=True, help_text="The first 20 kB of the answer.")
    replay = models.BooleanField(default=False, help_text="Whether it was marked as a replay.")

    class Meta:
        indexes = [models.Index(fields=["-started_at"], name="attempt_newest")]

    def __str__(self) -> str:
        return f"attempt {self.pk}"


class Receiver(models.Model):
    """A callback URL of an organization, and its breaker: while it is open, one notification at a time probes."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="receivers")
    url_hash = models.CharField(max_length=64)
    url = models.CharField(max_length=2000)
    failures = models.PositiveIntegerField(default=0, help_text="In a row, of whatever notification.")
    probes = models.PositiveIntegerField(default=0, help_text="Failed probes since the breaker opened.")
    opened_at = models.DateTimeField(null=True)
    open_until = models.DateTimeField(null=True, help_text="No probe before this. Empty while the breaker is closed.")
    holds = models.BooleanField(default=False, help_text="Whether it keeps notifications waiting.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "url_hash"], name="receiver_once_per_organization")
        ]
        indexes = [
            models.Index(fields=["open_until"], name="receiver_open", condition=models.Q(open_until__isnull=False))
        ]

    def __str__(self) -> str:
        return self.url


class DeliveryState(models.Model):
    """How an instance's delivery stands. `receiver` is that of its callback URL, once something was sent there."""

    instance = models.OneToOneField(Instance, on_delete=models.CASCADE, primary_key=True, related_name="delivery_state")
    receiver = models.ForeignKey(Receiver, on_delete=models.SET_NULL, null=True, related_name="delivery_states")
    paused_at = models.DateTimeField(null=True)
    pause_reason = models.TextField(blank=True)
    last_delivered_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"delivery of {self.instance}"


class Alert(models.Model):
    """A warning to the operator, once per episode: open until what it warns of is over."""

    class Kind(models.TextChoices):
        """What it warns of."""

        HALF_USED = "half used", "Half of the retry schedule is used up"
        LAST_TRY = "last try", "One try is left"
        PAUSED = "paused", "Delivery is paused"
        BREAKER = "breaker", "A receiver keeps failing"

    kind = models.CharField(max_length=20, choices=Kind.choices)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="alerts")
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, null=True, related_name="alerts")
    receiver = models.ForeignKey(Receiver, on_delete=models.CASCADE, null=True, related_name="alerts")
    notification = models.ForeignKey(Notification, on_delete=models.SET_NULL, null=True, related_name="alerts")
    text = models.TextField()
    created_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    mailed_at = models.DateTimeField(null=True)
    posted_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0, help_text="Failed sends, to either place.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["instance", "kind"], condition=models.Q(resolved_at=None), name="alert_once_per_episode"
            ),
            models.UniqueConstraint(
                fields=["receiver", "kind"],
                condition=models.Q(resolved_at=None),
                name="receiver_alert_once_per_episode",
            ),
        ]
        indexes = [models.Index(fields=["-created_at"], name="alert_newest")]

    def __str__(self) -> str:
        return self.get_kind_display()


class Heartbeat(models.Model):
    """When a part of the service last showed life; written by tasks, watched by the supervisor."""

    name = models.CharField(max_length=100, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.seen_at}"
