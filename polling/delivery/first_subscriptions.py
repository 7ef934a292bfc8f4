"""The first subscription of each instance: a row that is there as long as the instance is."""

from __future__ import annotations

from collections.abc import Collection

from instances.models import Instance
from polling.models import Subscription

NAME = "Main"


def ensure_first(instance_ids: Collection[int]) -> None:
    """Make the first subscriptions of those of these instances that have none, whoever made the instance.

    Processes of the version before make instances alone.
    """
    missing = Instance.objects.filter(pk__in=instance_ids).exclude(pk__in=Subscription.objects.values("pk"))
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


def make_first(sender: object, *, instance: Instance, created: bool, **_: object) -> None:
    """Make the first subscription of a new instance (receiver of `post_save`)."""
    if created:
        ensure_first([instance.pk])
