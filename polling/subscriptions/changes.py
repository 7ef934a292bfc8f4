"""Subscriptions made, changed and deleted: each in a transaction of its own, with its entry in the audit log.

Who changes one locks its instance first, then the subscription; neither lock holds up who refers to these rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404

from cwconnect.core.errors import ConflictError, DomainError
from instances import audit
from instances.audit import Action
from instances.credentials.signature_keys import new_signature_key, replace_key, rotate_signature_key
from instances.models import Instance, Transformation
from polling.delivery.fan_out.beginnings import begin, go_on, switch_to_log
from polling.delivery.first_subscriptions import ensure_first
from polling.delivery.pausing import rearm
from polling.detection.tracking import keep_tracking
from polling.log.event_ids import take_ids
from polling.models import Alert, DeliveryState, Subscription
from polling.models.subscriptions import FURTHER_FROM
from polling.subscriptions.beginnings import NOW, WHERE_IT_WAS
from polling.subscriptions.ends import discard_all, forget
from polling.subscriptions.reading import Settings, read_settings
from polling.subscriptions.stored import COLUMNS, changes_of, fill, settings_of
from polling.workers.heartbeats import of_other_versions
from polling.workers.queue import wake_on_commit
from polling.workers.wakeups import Kind


@transaction.atomic
def create_subscription(
    instance: Instance, given: Mapping[str, Any], now: datetime, *, since: datetime | None = None
) -> Subscription:
    """Make a further subscription of an instance, which hears what comes from now, or of the log `since` a time.

    Raises ConfigurationError that names every member at fault, ConflictError where there is no room, the name is taken,
    or workers of another version run; Http404 where the instance was deleted meanwhile.
    """
    current = _locked_instance(instance)
    wanted = read_settings(given, base=Settings(), mappings=_mappings(current, given), first=False)
    _refuse_beside_others(now)
    ensure_first([current.pk])
    ours = _of(current)
    if ours.count() >= settings.MOST_SUBSCRIPTIONS:
        raise ConflictError(f"An instance has {settings.MOST_SUBSCRIPTIONS} subscriptions at most, its first included.")
    _check_name(wanted, ours.values_list("name", flat=True))
    made = Subscription(pk=FURTHER_FROM + take_ids(1)[0], instance=current)
    fill(made, wanted, Settings(), now)
    made.save(force_insert=True)
    begin(made, since=since)
    keep_tracking(current)
    details: dict[str, Any] = {"since": since.isoformat(timespec="seconds")} if since else {}
    _record(Action.CREATE_SUBSCRIPTION, made, details)
    return made


@transaction.atomic
def change_subscription(
    subscription: Subscription, given: Mapping[str, Any], now: datetime, *, goes_on: str | None = None
) -> Subscription:
    """Make a subscription what is wanted: what is not given stays. Return it as it is now.

    `goes_on`, where it is switched on: from NOW, which is usual, or WHERE_IT_WAS. Raises as `create_subscription`
    does; DomainError where it says how to go on and is not switched on.
    """
    current = _locked(subscription)
    stored = settings_of(current)
    mappings = _mappings(current.instance, given)
    wanted = read_settings(given, base=stored, mappings=mappings, first=current.is_first)
    switched_on = wanted.enabled and not stored.enabled
    if goes_on is not None and not switched_on:
        raise DomainError("begin: goes with a subscription that is switched on by this.")
    if wanted == stored:
        return current
    _check_name(wanted, _of(current.instance).exclude(pk=current.pk).values_list("name", flat=True))
    fill(current, wanted, stored, now)
    current.save(update_fields=COLUMNS)
    if switched_on:
        (go_on if goes_on == WHERE_IT_WAS else begin)(current)
    if _reads_log(wanted) and not current.reads_log:
        _refuse_beside_others(now)
        switch_to_log(current)
    _read_anew(current)
    keep_tracking(current.instance)
    if (wanted.enabled, wanted.url) != (stored.enabled, stored.url):
        rearm(current, now)
    details = changes_of(stored, wanted) | ({"begin": goes_on or NOW} if switched_on else {})
    _record(Action.CHANGE_SUBSCRIPTION, current, details)
    return current


@transaction.atomic
def delete_subscription(subscription: Subscription, now: datetime) -> None:
    """Delete a further subscription: nothing is made or sent for it any more, and its secrets are gone.

    What was not delivered is discarded at once; an attempt under way ends, and its notification with it. All rows go by
    and by. ConflictError for the first one, which goes with its instance.
    """
    if subscription.is_first:
        raise ConflictError(
            "The first subscription is its instance's own: event.notification.enabled switches it off, "
            "and it goes with the instance."
        )
    current = _locked(subscription)
    _record(Action.DELETE_SUBSCRIPTION, current, {})
    current.deleted_at = now
    forget(current)
    Alert.objects.filter(subscription=current).delete()
    DeliveryState.objects.filter(pk=current.pk).delete()
    discard_all(current, now)
    keep_tracking(current.instance)


@transaction.atomic
def rotate_key(
    subscription: Subscription, now: datetime, *, key: str | None, until: datetime
) -> tuple[str, datetime | None]:
    """Have notifications signed with `key`, one made here if none is given, and until a time with the present one.

    Return the new key, to be shown once, and when the former one ends; None where there was none.
    """
    if subscription.is_first:
        chosen = rotate_signature_key(subscription.instance, now, key=key, until=until)
        subscription.instance.refresh_from_db(fields=["previous_key_until"])
        return chosen, subscription.instance.previous_key_until
    current, chosen = _locked(subscription), key or new_signature_key()
    replace_key(current, chosen, until)
    current.save(update_fields=["signature_key", "previous_signature_key", "previous_key_until", "updated_at"])
    _record(Action.ROTATE_SIGNATURE_KEY, current, {"former_until": until.isoformat(timespec="seconds")})
    return chosen, current.previous_key_until


def _locked_instance(instance: Instance) -> Instance:
    rows = Instance.objects.select_for_update(no_key=True).filter(pk=instance.pk, organization__isnull=False)
    if (found := rows.first()) is None:
        raise Http404
    return found


def _locked(subscription: Subscription) -> Subscription:
    """Return a subscription as it is now, locked behind its instance. Http404 where it was deleted meanwhile."""
    instance = _locked_instance(subscription.instance)
    rows = Subscription.objects.select_for_update(no_key=True).filter(pk=subscription.pk, deleted_at=None)
    if (found := rows.first()) is None:
        raise Http404
    found.instance = instance
    return found


def _of(instance: Instance) -> QuerySet[Subscription]:
    return Subscription.objects.filter(instance=instance, deleted_at=None)


def _mappings(instance: Instance, given: Mapping[str, Any]) -> Collection[str]:
    """Return the names of the instance's field mappings, where one of them is asked for."""
    rows = Transformation.objects.filter(instance=instance).values_list("name", flat=True)
    return list(rows) if given.get("mapping") else ()


def _check_name(wanted: Settings, others: Collection[str]) -> None:
    if wanted.name in others:
        raise ConflictError(f"name: another subscription of this instance is called {wanted.name}.")


def _refuse_beside_others(now: datetime) -> None:
    """Refuse what workers of an earlier version would send to the first subscription's URL, or send twice."""
    if others := of_other_versions(now):
        raise ConflictError(
            f"Workers of another version still run ({'; '.join(others)}): they know one receiver of an instance, and "
            "would send it what is another's. Replace or stop them, wait a minute, and do this again."
        )


def _reads_log(wanted: Settings) -> bool:
    """Whether notifications have to be made of the log: not every event as it is goes into them."""
    plain = Settings()
    return (wanted.filter, wanted.form, wanted.fields, wanted.mapping) != (
        plain.filter,
        plain.form,
        plain.fields,
        plain.mapping,
    )


def _read_anew(subscription: Subscription) -> None:
    """Have the log read for it by what it asks for now, at once, whoever holds it or failed by what it was.

    Who reads for it at this moment finds the lease gone at his fence, and writes nothing.
    """
    if Subscription.objects.filter(pk=subscription.pk, lease_token__isnull=False).end_leases():
        wake_on_commit(Kind.DELIVER)


def _record(action: Action, subscription: Subscription, details: Mapping[str, Any]) -> None:
    instance = subscription.instance
    said = {"subscription": subscription.name, **details}
    audit.record(action, instance, organization=instance.organization, details=said)
