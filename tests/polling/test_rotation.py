"""Signature keys that rotate: for a while the old key signs beside the new one."""

from __future__ import annotations

import base64
import hmac
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from instances.configuration.wire import config_of
from instances.credentials.signature_keys import new_signature_key, rotate_signature_key
from instances.models import Instance
from instances.provisioning import change_instance
from tests.support.deliveries import KEY, change, deliver
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Receiver


def verifies(key: str, receiver: Receiver) -> bool:
    got = receiver.got[-1]
    try:
        Webhook(key).verify(got.body.decode(), got.headers)
    except WebhookVerificationError:
        return False
    return True


def current(world: PolledInstance) -> Instance:
    return Instance.objects.get(pk=world.instance.pk)


def test_a_key_made_for_the_user_has_the_form_that_standard_webhooks_knows() -> None:
    key = new_signature_key()
    assert key.startswith("whsec_")
    assert len(base64.b64decode(key.removeprefix("whsec_"), validate=True)) == 32
    assert key != new_signature_key()


def test_both_keys_verify_until_the_old_one_ends(notifying: PolledInstance, receiver: Receiver) -> None:
    new = rotate_signature_key(notifying.instance, timezone.now())
    change(notifying, 1)
    deliver()
    assert verifies(KEY, receiver)
    assert verifies(new, receiver)
    got = receiver.got[-1]
    by_new = base64.b64encode(hmac.digest(new.encode(), got.body, "sha256")).decode()
    assert got.headers["elements-webhook-signature"] == f"sha256={by_new}"


def test_a_day_later_only_the_new_key_verifies(notifying: PolledInstance, receiver: Receiver) -> None:
    new = rotate_signature_key(notifying.instance, timezone.now() - timedelta(hours=24, seconds=1))
    change(notifying, 1)
    deliver()
    assert verifies(new, receiver)
    assert not verifies(KEY, receiver)


def test_the_time_at_which_the_old_key_ends_can_be_given(notifying: PolledInstance, receiver: Receiver) -> None:
    now = timezone.now()
    rotate_signature_key(notifying.instance, now, until=now)
    change(notifying, 1)
    deliver()
    assert not verifies(KEY, receiver)


def test_a_key_changed_through_the_configuration_rotates_too(notifying: PolledInstance, receiver: Receiver) -> None:
    new = new_signature_key()
    change_instance(notifying.instance, config=replace(config_of(current(notifying)), signature_key=new))
    change(notifying, 1)
    deliver()
    assert verifies(KEY, receiver)
    assert verifies(new, receiver)


def test_other_changes_rotate_nothing(notifying: PolledInstance) -> None:
    change_instance(notifying.instance, config=config_of(current(notifying)), name="Another")
    assert current(notifying).previous_signature_key is None


def test_a_key_that_is_taken_away_signs_no_more(notifying: PolledInstance, receiver: Receiver) -> None:
    change_instance(notifying.instance, config=replace(config_of(current(notifying)), signature_key=""))
    change(notifying, 1)
    deliver()
    assert "webhook-signature" not in receiver.got[-1].headers
    assert current(notifying).previous_signature_key is None


@pytest.mark.parametrize("hours", [0, 23])
def test_a_retry_signs_with_the_keys_of_its_own_time(notifying: PolledInstance, receiver: Receiver, hours: int) -> None:
    receiver.answer = lambda got: (500, {})
    change(notifying, 1)
    deliver()
    new = rotate_signature_key(notifying.instance, timezone.now())
    with time_machine.travel(timezone.now() + timedelta(hours=hours), tick=True):
        deliver()
        got = receiver.got[-1]
        Webhook(new).verify(got.body.decode(), got.headers)
        Webhook(KEY).verify(got.body.decode(), got.headers)
