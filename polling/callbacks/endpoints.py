"""Where an instance's callbacks arrive: its token, made when they are switched on, and when registrations are compared.

The functions that hear of changed instances run inside the transaction that changed them.
"""

from __future__ import annotations

import logging
import secrets
from datetime import datetime
from typing import Any

from django.utils import timezone

from cwconnect.connectwise.callbacks.types import types_of_paths
from instances.configuration.callback_address import CALLBACK_PATH, callback_base
from instances.configuration.polls import plan_of
from instances.models import Instance
from instances.provisioning import forget_login
from instances.secrets import Secret, hash_token
from polling.detection.watching import site_key
from polling.models import CallbackEndpoint, CallbackRegistration

log = logging.getLogger(__name__)


def callback_url(token: str) -> str:
    """Return the URL that is registered at ConnectWise, which puts a record's id right behind its last character."""
    return f"{callback_base()}{CALLBACK_PATH}{token}?recordId="


def wanted_types(instance: Instance) -> set[str]:
    """Return the callback types of what is polled; none where callbacks are off, or there is no address for them."""
    if not (instance.watching and instance.callbacks_enabled and not is_over(instance) and callback_base()):
        return set()
    polls = instance.resource_polls.filter(enabled=True)
    return types_of_paths(plan_of(poll.name, poll.configuration).hub.path for poll in polls)


def is_over(instance: Instance) -> bool:
    """Whether the endpoint goes once nothing is registered any more: switched off, or the instance is deleted."""
    return instance.organization_id is None or not instance.callbacks_enabled


def apply_callbacks(sender: object, *, instance: Instance, **_: Any) -> None:
    """Have registrations compared at once (receiver of `watching_changed`), and make the endpoint when it lacks."""
    now = timezone.now()
    endpoint = CallbackEndpoint.objects.filter(instance=instance).first()
    if endpoint is not None and endpoint.site != site_key(instance):
        _leave_site(endpoint)
        endpoint = None
    if endpoint is not None:
        # A comparison under way goes on to its next step, and there finds that another was asked for.
        CallbackEndpoint.objects.filter(pk=endpoint.pk).update(next_compare_at=now, failures=0)
    elif instance.callbacks_enabled:
        token = secrets.token_urlsafe(32)
        CallbackEndpoint(
            instance=instance,
            token=Secret.of(token),
            token_hash=hash_token(token),
            site=site_key(instance),
            next_compare_at=now,
        ).save(force_insert=True)


def _leave_site(endpoint: CallbackEndpoint) -> None:
    """Forget what is registered at a site whose login is gone: its callbacks are answered 404, and cease by that."""
    left = CallbackRegistration.objects.filter(instance=endpoint.instance, entry_id__isnull=False)
    if count := left.count():
        log.warning("%s: %s callbacks stay registered at the company that was left.", endpoint.instance, count)
    CallbackRegistration.objects.filter(instance=endpoint.instance).delete()
    endpoint.delete()


def remove_with_instance(sender: object, *, instance: Instance, **_: Any) -> bool:
    """Have registrations removed at once (receiver of `instance_deleted`); give whether that needs the login still."""
    mine = CallbackEndpoint.objects.filter(instance=instance)
    return bool(mine.update(next_compare_at=timezone.now(), failures=0))


def notice_address(now: datetime) -> int:
    """Have registrations compared that were made under another address of ours; give how many instances'."""
    elsewhere = CallbackEndpoint.objects.exclude(url=callback_base())
    return elsewhere.exclude(next_compare_at__lte=now).update(next_compare_at=now)


def close_endpoint(endpoint: CallbackEndpoint, token: str) -> bool:
    """Delete an endpoint that nothing needs any more, if its lease still is ours; inside a transaction.

    A deleted instance's login goes with it.
    """
    gone, _ = CallbackEndpoint.objects.filter(pk=endpoint.pk, lease_token=token).delete()
    CallbackRegistration.objects.filter(instance_id=endpoint.pk).delete()
    if gone and endpoint.instance.organization_id is None:
        forget_login(endpoint.instance)
    return bool(gone)
