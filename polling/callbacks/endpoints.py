"""Where an instance's callbacks arrive: its token, made when they are switched on, and when registrations are compared.

The functions that hear of changed instances run inside the transaction that changed them.
"""

from __future__ import annotations

import logging
import secrets
from datetime import datetime
from typing import Any

from django.db.models import Max
from django.utils import timezone

from cwconnect.connectwise.callbacks.types import types_of_paths
from instances.configuration.callback_address import CALLBACK_PATH, callback_base
from instances.configuration.config_keys import InstanceConfig
from instances.configuration.polls import plan_of
from instances.models import Instance
from instances.provisioning import forget_login
from instances.secrets import Secret, SecretUnreadableError, hash_token, new_token
from polling.detection.watching import site_key
from polling.models import CallbackEndpoint, CallbackRegistration, Event

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


def apply_callbacks(sender: object, *, instance: Instance, former: InstanceConfig | None = None, **_: Any) -> None:
    """Have registrations compared at once (receiver of `watching_changed`), and make the endpoint when it lacks.

    `former` is the configuration by which another company was connected to: what is registered there is removed.
    """
    now = timezone.now()
    endpoint = CallbackEndpoint.objects.filter(instance=instance).first()
    if endpoint is not None and former is not None and endpoint.site != site_key(instance):
        _leave_company(endpoint, former, now)
        endpoint = None
    if endpoint is not None:
        # A comparison under way goes on to its next step, and there finds that another was asked for.
        CallbackEndpoint.objects.filter(pk=endpoint.pk).update(site=site_key(instance), next_compare_at=now, failures=0)
    elif instance.callbacks_enabled:
        _open_endpoint(instance, secrets.token_urlsafe(32), site_key(instance), now)


def _open_endpoint(instance: Instance, token: str, site: str, now: datetime) -> None:
    fields = {"token": Secret.of(token), "token_hash": hash_token(token), "site": site, "next_compare_at": now}
    end_of_log = Event.objects.aggregate(last=Max("pk"))["last"] or 0
    CallbackEndpoint(instance=instance, examined_upto=end_of_log, **fields).save(force_insert=True)


def _leave_company(endpoint: CallbackEndpoint, former: InstanceConfig, now: datetime) -> None:
    """Have what is registered at a company that was left removed, by its login: as that of a deleted instance is.

    An instance that is nobody's takes endpoint, registrations and login over, and goes when all of them are gone.
    """
    instance = endpoint.instance
    try:
        token = endpoint.token.reveal()
    except SecretUnreadableError:
        log.warning("%s: what is registered at the company that was left stays there.", instance)
        token = ""
    endpoint.delete()
    registrations = CallbackRegistration.objects.filter(instance=instance)
    if not token:
        registrations.delete()
        return
    left = Instance(
        name=instance.name,
        token_hash=hash_token(new_token()),
        disabled=True,
        base_url=former.base_url,
        company=former.company,
        public_key=Secret.of(former.public_key),
        private_key=Secret.of(former.private_key),
        client_id=former.client_id,
    )
    left.save()
    registrations.update(instance=left)
    _open_endpoint(left, token, endpoint.site, now)


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
