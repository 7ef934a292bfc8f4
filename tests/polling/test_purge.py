"""A deleted instance: gone for everybody at once, however many its events; its rows go by and by."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from cwconnect.site.periodic_jobs import run_due_jobs
from instances.models import Instance, Organization, ResourcePoll
from instances.provisioning import delete_instance, delete_organization
from polling.delivery.delivery_loop import DeliveryLoop, deliver_due
from polling.delivery.delivery_request import Outcome
from polling.detection.jobs import Job
from polling.detection.poll_loop import PollLoop
from polling.maintenance.purge import purge_deleted
from polling.models import (
    Alert,
    DeliveryAttempt,
    DeliveryState,
    Event,
    Notification,
    PollRun,
    PollState,
    RecordSnapshot,
    RecordWord,
    Replay,
)
from polling.workers.due import delivery_due_at, make_due, poll_due_at
from tests.conftest import Tenant
from tests.pages.conftest import sign_in
from tests.support.deliveries import change
from tests.support.every_page import every_page
from tests.support.filled_service import Filled, fill
from tests.support.page_views import body_of
from tests.support.polled_instance import PolledInstance, answered
from tests.support.receivers import Receiver
from tests.support.required import lengthy

OF_INSTANCE = (Event, Notification, Replay, Alert, ResourcePoll)
OF_POLL = (PollRun, RecordSnapshot, RecordWord, PollState)


@pytest.fixture
def filled(tenant: Tenant) -> Filled:
    """Ten instances with 600 events; the first, which has a fifth of them, is deleted."""
    made = fill(tenant.organization, instances=10, events=600, now=timezone.now())
    delete_instance(made.busiest)
    return made


def rows_of(instance: Instance) -> int:
    """Count what there is of an instance."""
    of_instance = sum(model.objects.filter(instance=instance.pk).count() for model in OF_INSTANCE)
    of_instance += DeliveryState.objects.filter(pk=instance.pk).count()
    attempts = DeliveryAttempt.objects.filter(notification__instance=instance.pk).count()
    polls = ResourcePoll.objects.filter(instance=instance.pk)
    return of_instance + attempts + sum(model.objects.filter(resource_poll__in=polls).count() for model in OF_POLL)


OUTLIVES_IT = ("audit-page", "audit-csv")  # the audit log says what somebody did, also to what is no more


@lengthy
def test_no_page_shows_it_and_none_breaks(filled: Filled, tenant: Tenant, admin_client: Client) -> None:
    assert rows_of(filled.busiest) > 200
    person = sign_in("olga", tenant.organization)
    for page in every_page(filled):
        if page.path.startswith("/admin"):
            assert admin_client.get(page.path).status_code < 400, page.name
        else:
            answer = person.get(page.path)
            assert answer.status_code < 500, page.name
            assert b"Company 0000" not in body_of(answer) or page.name.startswith(OUTLIVES_IT), page.name


def test_no_route_shows_it(filled: Filled, client: Client, auth: dict[str, str]) -> None:
    number = filled.busiest.pk
    lists = ("/instances", "/instances/events/analytics", "/v1/events", "/v1/deliveries")
    for path in (*lists, "/notifications/subscriptions/deliveries?where=channel='webhook'+and+status='queued'"):
        answer = client.get(path, headers=auth)
        assert answer.status_code == 200, path
        assert f'"instanceId":{number},' not in answer.content.decode().replace(" ", "")
        assert "Company 0000" not in answer.content.decode()
    for path in (f"/instances/{number}", f"/v1/instances/{number}/polls"):
        assert client.get(path, headers=auth).status_code == 404, path
    assert client.delete(f"/instances/{number}", headers=auth).status_code == 404


def test_commands_and_metrics_do_not_count_it(filled: Filled, client: Client) -> None:
    with pytest.raises(CommandError, match=f"no instance {filled.busiest.pk}"):
        call_command("verify", str(filled.busiest.pk))
    metrics = client.get("/metrics").content.decode()
    assert "cwconnect_instances 9.0" in metrics
    assert "cwconnect_instances_being_deleted 1.0" in metrics


def test_its_secrets_go_at_once(watched: PolledInstance) -> None:
    before = watched.instance
    delete_instance(before)
    row = Instance.objects.get()
    assert row.token_hash != before.token_hash
    assert row.private_key.reveal() == row.public_key.reveal() == ""
    assert not row.signature_key


def test_nothing_is_polled_or_sent_for_it(notifying: PolledInstance, receiver: Receiver) -> None:
    change(notifying, 3)
    make_due(PollState.objects.all())
    delete_instance(notifying.instance)
    assert poll_due_at(timezone.now()) is None
    assert delivery_due_at(timezone.now()) is None
    Notification.objects.update(next_attempt_at=timezone.now())  # as an attempt in flight may have it
    assert deliver_due(deadline=float("inf")) == 0
    assert receiver.got == []


def test_a_poll_in_flight_can_commit_nothing(notifying: PolledInstance) -> None:
    notifying.change(3, "Chief")
    make_due(PollState.objects.all())
    loop = PollLoop(PollState.objects.filter(next_poll_at__isnull=False), deadline=float("inf"))
    (job,) = loop.claim(1, [])
    assert isinstance(job, Job)
    delete_instance(notifying.instance)
    loop.settle([(job, answered(job))])
    assert not Event.objects.exists()


def test_an_attempt_in_flight_warns_nobody_and_is_waited_for(notifying: PolledInstance) -> None:
    change(notifying, 3)
    loop = DeliveryLoop(Notification.objects.all(), deadline=float("inf"))
    (delivery_request,) = loop.claim(1, [])
    delete_instance(notifying.instance)
    assert purge_deleted(timezone.now()) == 0
    gone: Future[Outcome] = Future()
    gone.set_result(Outcome(status=410))
    loop.settle([(delivery_request, gone)])
    assert not Alert.objects.exists()
    assert purge_deleted(timezone.now()) == 1


def test_it_is_forgotten_whole_and_nothing_else_is(filled: Filled) -> None:
    others = {instance.pk: rows_of(instance) for instance in filled.instances[1:]}
    assert purge_deleted(timezone.now()) == 1
    assert not Instance.objects.filter(pk=filled.busiest.pk).exists()
    assert rows_of(filled.busiest) == 0
    assert {instance.pk: rows_of(instance) for instance in filled.instances[1:]} == others


def test_what_a_killed_worker_left_is_found_by_the_next(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polling.maintenance.purge.BATCH", 2)
    monkeypatch.setattr("polling.maintenance.purge.NARROW", 3)
    batches = 0
    before = rows_of(filled.busiest)

    def killed(_: float) -> None:
        nonlocal batches
        batches += 1
        if batches % 3 == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr("polling.maintenance.unhurried.time.sleep", killed)
    while Instance.objects.filter(pk=filled.busiest.pk).exists():
        try:
            purge_deleted(timezone.now())
        except KeyboardInterrupt:
            assert rows_of(filled.busiest) < before
            before = rows_of(filled.busiest)
    assert batches > 20
    assert rows_of(filled.busiest) == 0


def test_a_worker_goes_on_the_next_time(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polling.maintenance.unhurried.STRETCH", timedelta(0))
    assert purge_deleted(timezone.now()) == 0
    assert str(Instance.objects.get(pk=filled.busiest.pk)).endswith(", being deleted")
    monkeypatch.undo()
    run_due_jobs(timezone.now())
    assert Instance.objects.count() == 9


def test_the_command_says_that_it_is_gone(filled: Filled, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("prune", verbosity=0)
    assert "and 1 deleted instance with all its rows." in capsys.readouterr().out
    assert Instance.objects.count() == 9


def test_an_organizations_instances_go_with_it(watched: PolledInstance) -> None:
    delete_organization(watched.tenant.organization)
    assert not Organization.objects.exists()
    assert purge_deleted(timezone.now()) == 1
    assert not RecordSnapshot.objects.exists()
