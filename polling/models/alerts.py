"""Warnings: what was found, where each organization wants it sent, and what came of that (see polling/alerts)."""

from __future__ import annotations

from django.db import models

from instances.models import Instance, Organization
from instances.secrets import HoldsSecrets, SecretField
from polling.models.deliveries import Notification, Receiver
from polling.models.leased import Leased, leased
from polling.models.subscriptions import Subscription


class Alert(models.Model):
    """A warning, once per episode: open until what it warns of is over."""

    class Kind(models.TextChoices):
        """What it warns of."""

        HALF_USED = "half used", "Half of the retry schedule is used up"
        LAST_TRY = "last try", "One try is left"
        PAUSED = "paused", "Delivery is paused"
        BREAKER = "breaker", "A receiver keeps failing"
        REFUSED = "refused", "ConnectWise refuses the keys"
        ACCEPTED = "accepted", "ConnectWise accepts the keys again"
        KEY_EXPIRES = "key expires", "An API key expires soon"
        TOKEN_EXPIRES = "token expires", "An Element token expires soon"

    kind = models.CharField(max_length=20, choices=Kind.choices)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="alerts")
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, null=True, related_name="alerts")
    subscription = models.ForeignKey(
        Subscription,
        on_delete=models.CASCADE,
        null=True,
        related_name="alerts",
        help_text="Empty where it is about the instance, or its first one.",
    )
    receiver = models.ForeignKey(Receiver, on_delete=models.CASCADE, null=True, related_name="alerts")
    notification = models.ForeignKey(Notification, on_delete=models.SET_NULL, null=True, related_name="alerts")
    key_number = models.BigIntegerField(null=True, help_text="The id of the API user whose key it is about.")
    text = models.TextField()
    created_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=200, blank=True, db_default="", help_text="Who knows of it.")
    spread_at = models.DateTimeField(null=True, help_text="When it was looked at where the organization wants it sent.")
    mailed_at = models.DateTimeField(null=True)
    posted_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0, help_text="Failed sends, to either place.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["instance", "kind"],
                condition=models.Q(resolved_at=None, subscription=None),
                name="alert_once_per_episode",
            ),
            models.UniqueConstraint(
                fields=["subscription", "kind"],
                condition=models.Q(resolved_at=None),
                name="subscription_alert_once_per_episode",
            ),
            models.UniqueConstraint(
                fields=["receiver", "kind"],
                condition=models.Q(resolved_at=None),
                name="receiver_alert_once_per_episode",
            ),
            models.UniqueConstraint(
                fields=["key_number", "kind"], condition=models.Q(resolved_at=None), name="key_alert_once_per_episode"
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at"], name="alert_newest"),
            models.Index(fields=["organization", "-id"], name="alert_newest_of_organization"),
            models.Index(fields=["organization", "-id"], name="alert_open", condition=models.Q(resolved_at=None)),
            models.Index(fields=["created_at"], name="alert_to_spread", condition=models.Q(spread_at=None)),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()


class AlertDestination(HoldsSecrets, Leased):
    """Where an organization's warnings go: mail addresses, or a URL that takes them in one of three forms."""

    class Kind(models.TextChoices):
        """How warnings are sent there."""

        MAIL = "mail", "Mail"
        SLACK = "slack", "Slack"
        TEAMS = "teams", "Microsoft Teams"
        WEBHOOK = "webhook", "Webhook"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="alert_destinations")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    url = SecretField(null=True, help_text="Whoever knows it may write there.")
    shown_url = models.CharField(max_length=300, blank=True, help_text="As much of it as people may see.")
    addresses = models.JSONField(default=list, help_text="Who gets the mails.")
    left_out = models.JSONField(default=list, help_text="Kinds of warnings that are not sent there.")
    enabled = models.BooleanField(default=True)
    since = models.DateTimeField(help_text="Warnings from before are not sent there.")
    tested_at = models.DateTimeField(null=True, help_text="When somebody last sent a test.")
    last_sent_at = models.DateTimeField(null=True, help_text="When a message last arrived.")
    last_error = models.TextField(blank=True, help_text="Why the last message did not; empty if it did.")

    class Meta:
        indexes = [leased("alert_destination_leased")]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="alert_destination_once_per_organization")
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_kind_display()})"


class AlertSend(models.Model):
    """One alert on its way to one destination, whose name it keeps when that is removed."""

    class State(models.TextChoices):
        """How far it came."""

        WAITING = "waiting", "Waiting"
        MUTED = "muted", "Muted"
        SENT = "sent", "Sent"
        GIVEN_UP = "given up", "Given up"
        OVER = "over", "Over before it was sent"

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="sends")
    destination = models.ForeignKey(AlertDestination, on_delete=models.SET_NULL, null=True, related_name="sends")
    place = models.CharField(max_length=150, help_text="The destination's name.")
    state = models.CharField(max_length=20, choices=State.choices, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0, help_text="Begun sends, those cut off by a crash included.")
    next_try_at = models.DateTimeField(null=True, help_text="When it is sent, or looked at again where it is muted.")
    sent_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["alert", "destination"], name="alert_sent_once_per_destination")]
        indexes = [
            models.Index(fields=["next_try_at"], name="alert_send_due", condition=models.Q(next_try_at__isnull=False))
        ]

    def __str__(self) -> str:
        return f"alert {self.alert_id} to {self.place}: {self.state}"


class AlertMute(models.Model):
    """Warnings of an organization are kept back until a time: all, those of an instance, of a kind, or both."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="alert_mutes")
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, null=True, related_name="alert_mutes")
    kind = models.CharField(max_length=20, choices=Alert.Kind.choices, blank=True)
    until = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    def __str__(self) -> str:
        kind = f"“{self.get_kind_display()}”" if self.kind else "all warnings"
        return f"{kind} of {self.instance if self.instance_id else 'all instances'}"
