"""Subscriptions: the receivers of an instance, each with what it wants to hear and in which form."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from instances.models import Instance, NotificationSettings
from instances.secrets import HoldsSecrets
from polling.models.events import Event
from polling.models.leased import Leased, leased

FURTHER_FROM = 1_000_000_000_000
"""Ids of further subscriptions are beyond this, and those of instances below: the first one has its instance's id."""


class Subscription(HoldsSecrets, Leased, NotificationSettings):
    """One receiver of an instance's events.

    The first one has the instance's id, and its URL, headers, Basic login and signature keys are the instance's own
    (`notification_settings`). A notification without a subscription is the first one's.

    One that `reads_log` gets its notifications of the event log, from `reached_id` on (delivery/fan_out.py); else they
    are made with the event, as of an instance that has one receiver and no filter.
    """

    class Form(models.TextChoices):
        """How events are written in a notification (delivery/forms)."""

        ELEMENTS = "elements", "Elements"
        CLOUDEVENTS = "cloudevents", "CloudEvents"
        THIN = "thin", "Thin"

    # As if made by Django, so that it comes before the secrets of the base: they are read as of a row with a key.
    id = models.BigIntegerField(primary_key=True, auto_created=True)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="subscriptions")
    name = models.CharField(max_length=200)
    enabled = models.BooleanField(default=True, help_text="While it is off nothing is kept for it.")
    filter = models.TextField(blank=True, help_text="As JSON text; empty: every event.")
    form = models.CharField(max_length=20, choices=Form.choices, default=Form.ELEMENTS)
    fields = models.JSONField(default=list, help_text="The record's top fields that are sent; none: all.")
    mapping = models.CharField(max_length=200, blank=True, help_text="The field mapping that records are sent by.")
    retry_schedule = models.JSONField(null=True, help_text="Seconds before each try; empty: that of the service.")
    retention_days = models.PositiveSmallIntegerField(null=True, help_text="Empty: that of the service.")
    reads_log = models.BooleanField(default=False)
    began_id = models.BigIntegerField(default=0, help_text="The last event before its first.")
    forgotten_id = models.BigIntegerField(
        default=0, db_default=0, help_text="The last event of what was sent and deleted by its age."
    )
    reached_id = models.BigIntegerField(default=0, help_text="The last event that was looked at for it.")
    catching_up_to = models.BigIntegerField(null=True, help_text="The last event of its catch-up; empty: it is over.")
    passed = models.BigIntegerField(default=0, help_text="Events that a notification was made of, of the log.")
    held = models.BigIntegerField(default=0, help_text="Events that its filter held back.")
    deleted_at = models.DateTimeField(null=True, help_text="Its rows go by and by, and it is the last of them.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [leased("subscription_leased")]
        constraints = [
            models.UniqueConstraint(
                fields=["instance", "name"],
                condition=models.Q(deleted_at=None),
                name="subscription_once_per_instance",
            )
        ]

    def __str__(self) -> str:
        return str(self.instance) if self.is_first else f"{self.name} of {self.instance}"

    @property
    def is_first(self) -> bool:
        """Whether it is the instance's own: that of its `event.notification` keys."""
        return self.pk == self.instance_id

    @property
    def days_kept(self) -> int:
        """For how many days what was delivered to it is kept."""
        return settings.RETENTION_DAYS if self.retention_days is None else self.retention_days

    @property
    def accounted_from_id(self) -> int:
        """Beyond which event it can be said what became of each."""
        return max(self.began_id, self.forgotten_id)

    @property
    def notification_settings(self) -> NotificationSettings:
        """Where its notifications go, and how they are signed."""
        return self.instance if self.is_first else self


HAS_URL = models.Q(callback_url__gt="") | models.Q(pk=models.F("instance_id"), instance__callback_url__gt="")
"""The subscriptions whose notifications have somewhere to go."""


class SubscriptionEvent(models.Model):
    """What became of an event for a subscription that reads the log: which notification carries it, or what held it.

    Deleted with its event or its notification (maintenance/retention.py), by its own statement: there are many.
    """

    subscription = models.ForeignKey(
        Subscription, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="judged"
    )
    event = models.ForeignKey(Event, on_delete=models.DO_NOTHING, db_constraint=False, related_name="judged")
    notification = models.ForeignKey(
        "polling.Notification",
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="carried",
    )
    held_by = models.TextField(blank=True, help_text="The condition that it did not meet.")
    not_judged = models.TextField(blank=True, help_text="What could not be judged, and was let pass.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subscription", "event"], name="event_once_per_subscription")]
        indexes = [
            models.Index(
                fields=["notification", "event"],
                name="event_carried",
                condition=models.Q(notification__isnull=False),
            ),
            models.Index(
                fields=["subscription", "-event"], name="event_held", condition=models.Q(notification__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"event {self.event_id} for {self.subscription_id}: {self.held_by or self.notification_id}"
