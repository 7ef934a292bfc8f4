"""Deliveries: notifications, their attempts and replays, and receivers."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Coalesce
from django.db.models.lookups import In

from cwconnect.outbound.display import bare_url
from instances.models import Instance, Organization
from polling.models.leased import Leased, LeasedQuerySet, leased


class Replay(Leased):
    """A person's request to send whole notifications again, and how far it came (see delivery/replay.py)."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="replays")
    asked_at = models.DateTimeField()
    what = models.TextField(help_text="What was asked for, in words.")
    selection = models.JSONField(default=dict, help_text="What was asked for, for those who queue it.")
    upto = models.BigIntegerField(default=0, help_text="The last notification that there was when it was asked for.")
    reached_id = models.BigIntegerField(default=0, help_text="The last notification that is queued.")
    queued = models.PositiveIntegerField(default=0, help_text="How many are queued to be sent.")
    queued_at = models.DateTimeField(null=True, help_text="When all were queued; empty while some are still to be.")
    total = models.PositiveIntegerField(default=0, help_text="How many there are; until all are queued, were expected.")
    delivered = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0, help_text="Given up after the whole retry schedule.")

    class Meta:
        indexes = [
            leased("replay_leased"),
            models.Index(fields=["instance", "-id"], name="replay_newest"),
            models.Index(fields=["asked_at"], name="replay_unqueued", condition=models.Q(queued_at=None)),
        ]

    def __str__(self) -> str:
        return f"replay {self.pk}: {self.what}"

    @property
    def left(self) -> int:
        """How many are still to be sent."""
        return max(0, self.total - self.delivered - self.failed)

    @property
    def stage(self) -> str:
        """Where it stands, in a word: queueing, sending, or ended."""
        return "queueing" if self.queued_at is None else "sending" if self.left else "ended"


class NotificationBody(models.Model):
    """The bytes of notifications that are equal, once: of several subscriptions, by their hash."""

    hash = models.CharField(max_length=64, primary_key=True, help_text="SHA-256, in hexadecimal digits.")
    body = models.TextField()
    used_at = models.DateTimeField(db_index=True, help_text="When a notification last took it.")

    def __str__(self) -> str:
        return self.hash


TO = Coalesce("subscription_id", "instance_id", output_field=models.BigIntegerField())
"""The id of a notification's subscription."""


class NotificationQuerySet(LeasedQuerySet["Notification"]):
    """Notifications, of whichever subscription."""

    def to(self, subscription_ids: Collection[int]) -> Self:
        """Narrow down to the notifications of these subscriptions: to those without one, of first ones."""
        return self.filter(In(TO, list(subscription_ids)))

    def of_living(self) -> Self:
        """Leave out those of deleted subscriptions, which go by and by: nobody is to see them any more."""
        return self.exclude(subscription__deleted_at__isnull=False)


class Notification(Leased):
    """One POST to a receiver: at most ten events, its bytes fixed at birth.

    Made with its events, it has the id of the first of them (`Event.notification`). Made of the log for a subscription
    that reads that, it has one of its own, from the same sequence, and `SubscriptionEvent` says what it carries.
    """

    class State(models.TextChoices):
        """What becomes of it."""

        PENDING = "pending", "Waiting"
        DELIVERED = "delivered", "Delivered"
        EXHAUSTED = "exhausted", "Given up, kept for release"
        FAILED = "failed", "Given up"
        DISCARDED = "discarded", "Discarded"

    id = models.BigIntegerField(primary_key=True)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False, related_name="notifications")
    subscription = models.ForeignKey(
        "polling.Subscription",
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="notifications",
        help_text="Empty: the instance's first one.",
    )
    object_type = models.CharField(max_length=200)
    webhook_id = models.CharField(max_length=40, unique=True)
    body = models.TextField(blank=True, help_text="Empty where it shares its bytes with others.")
    shared_body = models.ForeignKey(
        NotificationBody,
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="notifications",
    )
    content_type = models.CharField(
        max_length=60, blank=True, default="", db_default="", help_text="Empty: application/json."
    )
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
    given_up_at = models.DateTimeField(null=True, help_text="When its last try failed while others got through.")
    created_at = models.DateTimeField()
    replay = models.ForeignKey(
        Replay,
        on_delete=models.SET_NULL,
        null=True,
        db_index=False,
        related_name="notifications",
        help_text="Set while it is sent again; its state stays what it was.",
    )
    traceparent = models.CharField(max_length=55, null=True, help_text="Its span, where traces are on.")

    class Meta:
        indexes = [
            leased("notification_leased"),
            models.Index(fields=["follows"], name="notification_following", condition=models.Q(follows__isnull=False)),
            models.Index(
                # The last two: a look passes over subscriptions that are full unread.
                fields=["next_attempt_at", "id", "instance", "subscription"],
                name="notification_due_to",
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
            models.Index(  # few: so the events of those are found without reading all notifications
                fields=["id"], name="notification_given_up", condition=models.Q(state__in=["failed", "discarded"])
            ),
            models.Index(  # likewise, and what is kept for a release: what people call given up
                fields=["id"],
                name="notification_ended_unheard",
                condition=models.Q(state__in=["exhausted", "failed", "discarded"]),
            ),
            models.Index(  # fewer still: so the overview finds them by when that was
                fields=["given_up_at"], name="notification_given_up_when", condition=models.Q(state="failed")
            ),
            models.Index(
                Coalesce("subscription", "instance"),
                "id",
                name="notification_undelivered_to",
                # Said otherwise than of the one by instance, which the planner would take for this one's questions as
                # long as it believes that hardly any are undelivered: it has their rows, in another order.
                condition=~models.Q(state__in=["delivered", "failed", "discarded"]),
            ),
            models.Index(fields=["instance", "-id"], name="notification_newest"),
            models.Index(
                fields=["subscription", "-id"],
                name="notification_newest_to",
                condition=models.Q(subscription__isnull=False),
            ),
            models.Index(
                fields=["shared_body"], name="notification_sharing", condition=models.Q(shared_body__isnull=False)
            ),
            models.Index(fields=["created_at"], name="notification_oldest"),
        ]

    objects: ClassVar = NotificationQuerySet.as_manager()

    UNDELIVERED = (State.PENDING, State.EXHAUSTED)
    DELIVERED_OR_GIVEN_UP = (State.DELIVERED, State.FAILED, State.DISCARDED)

    def __str__(self) -> str:
        return self.webhook_id

    @property
    def to(self) -> int:
        """The id of its subscription."""
        return self.subscription_id or self.instance_id

    @property
    def sent(self) -> str:
        """The text of its body, whether or not it shares that with others; `shared_body` should be at hand."""
        return self.body if self.shared_body is None else self.shared_body.body


class GivenUpDismissal(models.Model):
    """Up to when an organization has seen what was given up: that alone is counted which was given up since."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, primary_key=True, related_name="given_up_dismissal"
    )
    upto = models.DateTimeField()

    def __str__(self) -> str:
        return f"given up until {self.upto:%d %b %Y}"


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
    unsent = models.BooleanField(db_default=False, help_text="It failed before a byte of it could reach the receiver.")
    gave_up = models.BooleanField(db_default=False, help_text="With it the notification, or its replay, was given up.")

    class Meta:
        indexes = [
            models.Index(fields=["-started_at"], name="attempt_newest"),
            # What arrives is in none of these rows, and costs nothing.
            models.Index(fields=["notification"], name="attempt_failed", condition=models.Q(error_kind__gt="")),
        ]

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
        return bare_url(self.url)


class DeliveryState(models.Model):
    """How delivery to a subscription stands. `receiver` is that of its callback URL, once something was sent there."""

    subscription = models.OneToOneField(
        "polling.Subscription",
        on_delete=models.CASCADE,
        primary_key=True,
        db_constraint=False,
        db_column="instance_id",  # the first subscription's id is its instance's
        related_name="delivery_state",
    )
    receiver = models.ForeignKey(Receiver, on_delete=models.SET_NULL, null=True, related_name="delivery_states")
    paused_at = models.DateTimeField(null=True)
    pause_reason = models.TextField(blank=True)
    last_delivered_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"delivery of {self.subscription}"
