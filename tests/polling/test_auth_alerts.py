"""Keys that ConnectWise refuses are reported to the operator once, and once more when it accepts them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cwconnect.site.alert_sender import send_alerts
from cwconnect.site.periodic_jobs import PERIODIC_JOBS
from instances.provisioning import set_enabled
from polling.alerts.auth_alerts import raise_auth_alerts
from polling.alerts.messages import body_of, subject_of, warned_of
from polling.delivery.pausing import release_all_of
from polling.models import Alert
from tests.support.polled_instance import PolledInstance

Kind = Alert.Kind
THREE: dict[str, Any] = {"contacts": {}, "incidents": {}, "organizations": {}}


@pytest.fixture
def refused(world: PolledInstance) -> PolledInstance:
    """A world of three resources whose keys were changed in ConnectWise."""
    world.watch(event__poller__configuration={**THREE})
    world.poll()
    world.store.set_keys("PUB", "another")
    world.poll()
    return world


def look() -> list[tuple[str, bool]]:
    """Do the periodic job; give all alerts as kind and whether it is open."""
    raise_auth_alerts(timezone.now())
    return [(alert.kind, alert.resolved_at is None) for alert in Alert.objects.order_by("pk")]


def test_an_instance_that_is_refused_is_one_alert_whatever_it_polls_and_how_often(refused: PolledInstance) -> None:
    assert look() == [(Kind.REFUSED, True)]
    refused.poll()
    assert look() == [(Kind.REFUSED, True)]
    text = Alert.objects.get().text
    assert "contacts, incidents, organizations: " in text
    assert "Incorrect public/private key" in text


def test_keys_accepted_again_are_reported_once_and_a_new_refusal_is_a_new_episode(refused: PolledInstance) -> None:
    look()
    refused.store.set_keys("PUB", "PRIV")
    refused.poll()
    ended = [(Kind.REFUSED, False), (Kind.ACCEPTED, False)]
    assert look() == look() == ended
    refused.store.set_keys("PUB", "another")
    refused.poll()
    assert look() == [*ended, (Kind.REFUSED, True)]


def test_a_failure_of_another_sort_does_not_say_that_the_keys_are_accepted(watched: PolledInstance) -> None:
    watched.store.set_keys("PUB", "another")
    watched.poll()
    look()
    watched.store.fail_next(1, status=500)
    watched.poll()
    assert look() == [(Kind.REFUSED, True)]


def test_a_resource_that_the_role_may_not_read_is_reported_too(refused: PolledInstance) -> None:
    refused.store.set_keys("PUB", "PRIV")
    refused.store.fail_next(1, status=403, path="/company/contacts")
    refused.poll()
    assert look() == [(Kind.REFUSED, True)]
    assert "for contacts: " in Alert.objects.get().text
    refused.store.fail_next(1, status=403, path="/company/contacts")
    refused.poll()
    assert look() == [(Kind.REFUSED, True)], "the others were good meanwhile"


def test_an_instance_that_is_disabled_meanwhile_ends_it_in_silence(refused: PolledInstance) -> None:
    look()
    set_enabled(refused.instance, enabled=False)
    assert look() == [(Kind.REFUSED, False)]


def test_a_release_of_deliveries_does_not_end_it(refused: PolledInstance) -> None:
    look()
    release_all_of(refused.instance, timezone.now())
    assert look() == [(Kind.REFUSED, True)]


def test_its_mail_says_what_to_do_and_nothing_of_deliveries(refused: PolledInstance) -> None:
    look()
    alerts = [warned_of(alert) for alert in Alert.objects.all()]
    assert subject_of(alerts) == f"cwconnect: ConnectWise refuses the keys: {refused.instance}"
    assert "new keys take effect at once" in body_of(alerts)
    assert "release" not in body_of(alerts)


def test_it_is_found_before_the_operator_is_notified() -> None:
    runs: list[Any] = [job.run for job in PERIODIC_JOBS]
    assert runs.index(raise_auth_alerts) < runs.index(send_alerts)
    assert PERIODIC_JOBS[runs.index(raise_auth_alerts)].every <= timedelta(minutes=1)
