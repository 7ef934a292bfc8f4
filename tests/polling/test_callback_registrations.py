"""Registrations at ConnectWise, in one table: whatever happens, those that are wanted end up there, alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone

from instances.models import Instance
from instances.provisioning import delete_instance, delete_organization, set_enabled
from instances.secrets import hash_token
from polling.callbacks.endpoints import notice_address
from polling.callbacks.registration_job import RegistrationJob, claim_registrations
from polling.maintenance.purge import purge
from polling.maintenance.retention import prune
from polling.models import (
    AnnouncedRecord,
    CallbackCount,
    CallbackEndpoint,
    CallbackHint,
    PollState,
    Site,
)
from polling.workers.due import poll_due_at
from tests.support.callback_registry import HERE, KEY, THERE, Registry, entries_of, spoil
from tests.support.polled_instance import PolledInstance
from tests.support.sandboxes import start_sandbox

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Case:
    """What befalls; `before`: once all is registered well, and not before the first time. `hours` until it is well."""

    befalls: Sequence[Callable[[Registry], Any]]
    registered: bool = False
    hours: int = 2
    refused: tuple[str, ...] = ()
    wanted: bool = True
    words: str = ""


def former(registry: Registry, **members: Any) -> None:
    """Have ConnectWise list something of this instance's already."""
    registry.put(registry.url, "contact", **members)


def elsewhere(registry: Registry) -> None:
    registry.settings.CALLBACK_URL = THERE


def nowhere(registry: Registry) -> None:
    registry.settings.CALLBACK_URL = ""


def hidden(registry: Registry) -> None:
    """Have an entry that matches and that the list does not show, such as another member's."""
    registry.store.hide("callbacks", [registry.put(registry.url, "contact")])
    registry.foreign = sorted([*registry.foreign, (registry.url, "contact", True)])


def switched_off(registry: Registry) -> None:
    for entry in entries_of(registry.store):
        if entry["url"] == registry.url:
            with registry.store.lock:
                registry.store.table("callbacks").put(entry | {"inactiveFlag": True})


def twice(registry: Registry) -> None:
    for _ in range(2):
        registry.put(registry.url, "ticket")
    registry.put(registry.url, "company")


def disabled(registry: Registry) -> None:
    set_enabled(registry.instance, enabled=False)


def deleted(registry: Registry) -> None:
    delete_instance(registry.instance)


def off(registry: Registry) -> None:
    registry.configure(**{KEY: "false"})


CASES = {
    "nothing": Case([], hours=0),
    "a POST is lost before it arrives": Case([spoil(method="POST", drop=True)]),
    "a POST's answer is lost": Case([spoil(method="POST", drop="after")]),
    "each POST's answer is lost once": Case([spoil(n=2, method="POST", drop="after")]),
    "a POST's answer is cut": Case([spoil(method="POST", drop="midway")]),
    "a POST's answer is no JSON": Case([spoil(method="POST", broken_json=True)]),
    "ConnectWise fails at one": Case([spoil(method="POST", status=500)]),
    "it is there already": Case([former], hours=0),
    "it is there already, switched off": Case([lambda registry: former(registry, inactiveFlag=True)], hours=0),
    "it is there at another level": Case([lambda registry: former(registry, level="contact")], hours=0),
    "the list lacks it at first": Case([former, spoil(method="GET", body=[])], hours=0),
    "one is there that isn't shown": Case([hidden], refused=("contact",), words="lists none that is this instance's"),
    "the list is refused": Case([spoil(n=99, status=403)], refused=("contact", "ticket"), words="Table Setup"),
    "the list is refused for an hour": Case([spoil(method="GET", status=403)]),
    "there is no such route": Case([spoil(n=99, status=404)], refused=("contact", "ticket"), words="has no callbacks"),
    "one type is refused": Case(
        [spoil(n=99, skip=1, method="POST", status=403)], refused=("ticket",), words="Table Setup"
    ),
    "all types are refused": Case(
        [spoil(n=99, method="POST", status=403)], refused=("contact", "ticket"), words="Table Setup"
    ),
    "one is refused once": Case([spoil(method="POST", status=400)]),
    "the login is refused": Case([spoil(status=401)]),
    "a rate limit": Case([spoil(skip=1, status=429, headers={"Retry-After": "5"})]),
    "a rate limit at the list": Case([spoil(status=429, headers={"Retry-After": "5"})]),
    "one of another's can't be read": Case([lambda registry: registry.store.garble("callbacks", [2])], hours=0),
    "the list can't be read": Case([spoil(broken_json=True)]),
    "they were switched off": Case([switched_off], registered=True, hours=1),
    "they were switched off, and stay so": Case(
        [switched_off, spoil(n=2, method="PATCH", status=400)], registered=True, hours=1
    ),
    "there are more than wanted": Case([twice], registered=True, hours=1),
    "another address": Case([elsewhere], registered=True, hours=0),
    "another address, and a POST's answer is lost": Case(
        [elsewhere, spoil(method="POST", drop="after")], registered=True
    ),
    "another address, and a DELETE's answer is lost": Case(
        [elsewhere, spoil(method="DELETE", drop="after")], registered=True
    ),
    "another address, and a DELETE is refused": Case(
        [elsewhere, spoil(method="DELETE", status=400, body={})], registered=True
    ),
    "another address, and a POST is refused": Case([elsewhere, spoil(method="POST", status=400)], registered=True),
    "no address any more": Case([nowhere], registered=True, wanted=False, hours=0),
    "no address for a while": Case(
        [nowhere, lambda registry: registry.settle(), lambda r: setattr(r.settings, "CALLBACK_URL", HERE)],
        registered=True,
        hours=0,
    ),
    "disabled for a while": Case(
        [disabled, lambda registry: registry.settle(), lambda r: set_enabled(r.instance, enabled=True)],
        registered=True,
        hours=0,
    ),
    "disabled": Case([disabled], registered=True, wanted=False, hours=0),
    "disabled, and ConnectWise fails": Case([disabled, spoil(n=2, status=503)], registered=True, wanted=False),
    "events off": Case(
        [lambda registry: registry.configure(**{"event.notification.enabled": "false"})],
        registered=True,
        wanted=False,
        hours=0,
    ),
    "switched off by us": Case([off], registered=True, wanted=False, hours=0),
    "switched off by us, and a DELETE's answer is lost": Case(
        [off, spoil(method="DELETE", drop="after")], registered=True, wanted=False
    ),
    "switched off by us before anything was allowed": Case(
        [spoil(n=1, status=403), lambda registry: registry.settle(), off, spoil(n=99, status=403)], wanted=False
    ),
    "deleted": Case([deleted], registered=True, wanted=False, hours=0),
    "deleted, and the login is refused for a while": Case(
        [deleted, spoil(n=2, status=401)], registered=True, wanted=False, hours=3
    ),
    "the organization is deleted": Case(
        [lambda registry: delete_organization(registry.tenant.organization)], registered=True, wanted=False, hours=0
    ),
}


def befall(registry: Registry, case: Case) -> None:
    if case.registered:
        registry.settle()
        assert registry.ours() == registry.right()
    for befalls in case.befalls:
        befalls(registry)


def check(registry: Registry, case: Case) -> None:
    """See that what stands in ConnectWise is what is wanted, and the rows say so."""
    wanted = [entry for entry in registry.right() if entry[1] not in case.refused] if case.wanted else []
    assert registry.ours() == wanted
    assert set(registry.foreign) <= set(registry.listed())
    if case.wanted:
        refused = {type_ for type_, status in registry.rows().items() if status == "refused"}
        assert refused <= set(case.refused)
        assert case.words in registry.endpoint.error
        assert bool(registry.endpoint.error) == bool(case.words)
    else:
        assert registry.rows() == {}
        assert CallbackEndpoint.objects.filter(instance__callbacks_enabled=False).count() == 0


@pytest.mark.parametrize("name", CASES)
def test_each_ends_with_just_what_is_wanted(registry: Registry, name: str, caplog: pytest.LogCaptureFixture) -> None:
    befall(registry, CASES[name])
    token = registry.endpoint.token.reveal()
    registry.settle_for(CASES[name].hours)
    check(registry, CASES[name])
    assert not PollState.objects.exclude(health__in=("healthy", "paused")).exists()
    assert token not in caplog.text + "".join(CallbackEndpoint.objects.values_list("error", flat=True))


def claimed(registry: Registry) -> RegistrationJob | None:
    """Claim what is due now, as a worker does."""
    with time_machine.travel(timezone.now() + timedelta(hours=registry.hours), tick=True):
        notice_address(timezone.now())
        jobs = claim_registrations(9, [])
    return cast(RegistrationJob, jobs[0]) if jobs else None


def die_after(registry: Registry, requests: int, *, committed: bool) -> bool:
    """Have a worker die after so many requests, with the last one written or not; give whether it came so far."""
    job = claimed(registry)
    for number in range(1, requests + 1):
        if job is None:
            return False
        answer = job.request()()
        if (committed or number < requests) and not job.commit(answer):
            return False
    return True


CRASHED = (
    "nothing",
    "another address",
    "they were switched off, and stay so",
    "disabled",
    "switched off by us",
    "deleted",
)


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("name", CRASHED)
def test_a_crash_between_any_two_steps_changes_nothing_of_that(registry: Registry, name: str, committed: bool) -> None:
    case = CASES[name]
    befall(registry, case)
    crashes = 0
    registry.hours += 1.01  # as it is due again by then, in any case
    while die_after(registry, crashes + 1, committed=committed):
        crashes += 1
        registry.hours += 0.1  # the lease has ended
        assert set(registry.foreign) <= set(registry.listed())
    assert crashes >= 2
    registry.settle_for(max(case.hours, 1))
    check(registry, case)


def test_what_is_asked_for_while_a_comparison_runs_follows_it_at_once(registry: Registry) -> None:
    job = claimed(registry)
    assert job is not None
    assert job.commit(job.request()())
    answer = job.request()()
    registry.change_polls({"contacts": {}})  # a ticket's registration is on its way by now, or the contact's
    assert not job.commit(answer)
    registry.settle()
    assert registry.ours() == [(registry.url, "contact", True)]
    assert set(registry.rows()) == {"contact"}


def test_a_login_goes_when_nothing_is_registered_any_more(registry: Registry) -> None:
    registry.settle()
    instance = registry.instance
    polls = instance.resource_polls.all()
    now = timezone.now()
    CallbackHint.objects.create(instance=instance, received_at=now, judge_at=now)
    CallbackCount.objects.create(instance=instance, hour=now, type="contact", name="received", count=1)
    AnnouncedRecord.objects.create(resource_poll=polls[0], record_id=1, announced_at=now, next_read_at=now)
    delete_instance(instance)
    kept = Instance.objects.get()
    assert (kept.private_key.reveal(), kept.signature_key, kept.token) == ("PRIV", None, None)
    purge(lambda what, count: None)
    assert not CallbackHint.objects.exists()
    assert CallbackCount.objects.exists(), "what /metrics counts does not shrink"
    prune(now + timedelta(days=8, hours=1))
    assert not CallbackCount.objects.exists()
    assert not AnnouncedRecord.objects.exists()
    assert Instance.objects.get().private_key.reveal() == "PRIV"  # what is registered needs it still
    registry.settle()
    assert registry.ours() == []
    assert Instance.objects.get().private_key.reveal() == Instance.objects.get().public_key.reveal() == ""
    assert not CallbackEndpoint.objects.exists()
    purge(lambda what, count: None)
    assert not Instance.objects.exists()


def test_without_callbacks_a_login_goes_at_once(world: PolledInstance) -> None:
    world.watch()
    delete_instance(world.instance)
    assert Instance.objects.get().private_key.reveal() == ""


def test_a_removal_that_can_not_be_done_is_given_up_after_a_day(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.settle()
    registry.store.set_keys("another", "another")
    delete_instance(registry.instance)
    registry.settle_for(23)
    assert Instance.objects.get().private_key.reveal() == "PRIV"
    registry.settle_for(2)
    assert Instance.objects.get().private_key.reveal() == ""
    assert not CallbackEndpoint.objects.exists()
    assert "are left behind" in caplog.text


def test_two_instances_of_one_company_each_have_their_own(registry: Registry) -> None:
    registry.settle()
    first, url = registry.instance, registry.url
    registry.watch(event__callbacks__enabled="true")
    registry.settle()
    assert registry.instance != first
    assert (registry.url, "contact", True) in registry.listed()
    set_enabled(registry.instance, enabled=False)
    registry.settle()
    assert registry.ours() == [(url, "contact", True), (url, "ticket", True)]


def test_switched_on_again_there_is_another_token(registry: Registry) -> None:
    registry.settle()
    before = registry.endpoint.token_hash
    registry.configure(**{KEY: "false"})
    registry.settle()
    assert not CallbackEndpoint.objects.exists()
    registry.configure(**{KEY: "true"})
    assert registry.endpoint.token_hash == hash_token(registry.endpoint.token.reveal()) != before
    registry.settle()
    assert registry.ours() == registry.right()


def test_of_a_company_that_is_left_all_is_removed_by_its_login(registry: Registry) -> None:
    registry.settle()
    url = registry.url
    registry.configure(company="ACME")  # the same, in another spelling
    assert registry.url == url
    with start_sandbox(company="other", private_key="OTHER") as other:
        keys = {"baseUrl": other.url, "company": "other", "public.key": "PUB", "private.key": "OTHER"}
        registry.configure(**keys)
        assert registry.url != url
        registry.settle()
        assert [row["url"] for row in entries_of(other.store)] == [registry.url] * 2
        assert set(registry.rows()) == {"contact", "ticket"}
    assert registry.listed() == registry.foreign
    left = Instance.objects.get(organization=None)
    assert left.private_key.reveal() == ""
    purge(lambda what, count: None)
    assert Instance.objects.get() == registry.instance


def test_what_is_left_of_a_company_that_refuses_is_given_up_after_a_day(registry: Registry) -> None:
    registry.settle()
    registry.store.set_keys("another", "another")
    with start_sandbox(company="other") as other:
        registry.configure(**{"baseUrl": other.url, "company": "other", "public.key": "PUB", "private.key": "PRIV"})
        registry.settle_for(23)
        assert CallbackEndpoint.objects.count() == 2
        registry.settle_for(2)
        assert CallbackEndpoint.objects.get() == registry.endpoint


def test_a_disabled_instance_asks_nothing_any_more(registry: Registry) -> None:
    set_enabled(registry.instance, enabled=False)
    registry.settle()
    assert registry.endpoint.next_compare_at is None
    registry.store.clear_requests()
    registry.settle_for(3)
    assert registry.store.requests == []


def test_a_comparison_is_due_for_the_workers_unless_the_company_waits(registry: Registry) -> None:
    PollState.objects.update(next_poll_at=None, next_sweep_at=None)
    due = registry.endpoint.next_compare_at
    assert due is not None
    assert poll_due_at(timezone.now()) == due
    Site.objects.create(key=registry.endpoint.site, blocked_until=timezone.now() + timedelta(minutes=1))
    assert poll_due_at(timezone.now()) is None
    assert claim_registrations(9, []) == []


def test_a_rate_limit_holds_the_polls_of_the_company(registry: Registry) -> None:
    spoil(status=429, headers={"Retry-After": "50"})(registry)
    registry.settle()
    assert Site.objects.get(key=PollState.objects.first().site).blocked_until > timezone.now()  # type: ignore[union-attr]  # there are some


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no locks of rows")
def test_who_changes_the_instance_is_not_waited_for(registry: Registry) -> None:
    """A change locks the instance and then its endpoint; a comparison has the endpoint, and must not want the other."""
    job = claimed(registry)
    assert job is not None
    answer = job.request()()

    def commit() -> bool:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '5s'")
            return job.commit(answer)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Instance.objects.select_for_update().get()
        assert pool.submit(commit).result()
    assert set(registry.rows()) == {"contact", "ticket"}
