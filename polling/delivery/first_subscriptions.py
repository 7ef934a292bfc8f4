"""The first subscription of each instance: a row that is there as long as the instance is."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Exists, Max, OuterRef, Q
from django.db.models.functions import Greatest

from instances.models import Instance
from polling.models import Event, Subscription, SubscriptionEvent

NAME = "Main"


def ensure_first(instance_ids: Collection[int] | None = None) -> None:
    """Make the first subscriptions of those of these instances, or of all, that have none, whoever made the instance.

    Processes of the version before make instances alone.
    """
    missing = Instance.objects.filter(~Exists(Subscription.objects.filter(pk=OuterRef("pk"))))
    if instance_ids is not None:
        missing = missing.filter(pk__in=instance_ids)
    rows = [Subscription(pk=key, instance_id=key, name=NAME) for key in missing.values_list("pk", flat=True)]
    if rows:
        Subscription.objects.bulk_create(rows, ignore_conflicts=True)


def first_subscription(instance: Instance) -> Subscription:
    """Return an instance's first subscription, made here if it is missing."""
    found = Subscription.objects.filter(pk=instance.pk).first()
    if found is None:
        ensure_first([instance.pk])
        found = Subscription.objects.get(pk=instance.pk)
    found.instance = instance
    return found


def find_subscription(instance: Instance, number: int) -> Subscription | None:
    """Return a subscription of an instance by its id; None where it has none such, or that is deleted."""
    if number == instance.pk:
        return first_subscription(instance)
    found = Subscription.objects.filter(instance=instance, pk=number, deleted_at=None).first()
    if found is not None:
        found.instance = instance
    return found


def begin_after_last(instance: Instance) -> None:
    """Have an instance's first subscription begin with what is recorded from now on. In a transaction.

    Whatever records its events must see that, or be over.
    """
    last = Event.objects.filter(instance=instance).aggregate(last=Max("pk"))["last"] or 0
    mine = Subscription.objects.filter(pk=first_subscription(instance).pk)
    mine.update(began_id=last, reached_id=Greatest("reached_id", last))


def lost_notifications(instance: Instance) -> Q:
    """Return the condition of those of an instance's events that a notification carried and none does any more.

    None was made of what was recorded without a callback URL, or while the first subscription was off; and what was
    made of the log is known by its own rows.
    """
    first = first_subscription(instance)
    if not instance.callback_url or first.reads_log or not first.enabled:
        return Q(pk__in=())
    judged = SubscriptionEvent.objects.filter(subscription=first, event=OuterRef("pk"))
    return Q(~Exists(judged), notification=None, pk__gt=first.began_id)


def make_first(sender: object, *, instance: Instance, created: bool, **_: object) -> None:
    """Make the first subscription of a new instance (receiver of `post_save`)."""
    if created:
        ensure_first([instance.pk])
