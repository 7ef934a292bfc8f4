"""The health of a poll: what moves it, what it shows, who else stops, and how all recover."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cwconnect.connectwise import errors
from instances.configuration.wire import config_of, read_configuration
from instances.provisioning import change_instance, set_enabled
from polling.detection.failures import PROBE_EVERY, RetryDecision, decide_retry
from polling.detection.outcomes import fail_run, fail_sweep
from polling.detection.poll_loop import PollLoop, poll_due
from polling.detection.polls.runs import LEASE, PollJob
from polling.models import Health, PollRun, PollState, Site
from polling.workers.due import make_due
from polling.workers.leases import claim
from tests.conftest import Tenant
from tests.support.polled_instance import PolledInstance, answered

THREE: dict[str, Any] = {"contacts": {}, "incidents": {}, "organizations": {}}


@pytest.fixture
def three(world: PolledInstance) -> PolledInstance:
    """A world of three resources, each polled once."""
    world.watch(event__poller__configuration={**THREE})
    world.poll()
    world.store.clear_requests()
    return world


def run_due() -> int:
    return poll_due(deadline=float("inf"))


def healths(world: PolledInstance) -> dict[str, str]:
    """Return the health of every poll, and whether it waits for another."""
    states = PollState.objects.filter(resource_poll__instance=world.instance).select_related("resource_poll")
    return {state.resource_poll.name: state.health for state in states}


def scheduled(world: PolledInstance) -> dict[str, timedelta]:
    """Give in what time each poll is due, of those that are."""
    states = PollState.objects.filter(resource_poll__instance=world.instance, next_poll_at__isnull=False)
    now = timezone.now()
    return {
        state.resource_poll.name: state.next_poll_at - now
        for state in states.select_related("resource_poll")
        if state.next_poll_at
    }


def paths(world: PolledInstance) -> list[str]:
    return [request.path.rpartition("/3.0")[2] for request in world.store.requests]


def change(world: PolledInstance, **keys: Any) -> None:
    """Change the instance's configuration, as PATCH does."""
    stored = config_of(world.instance)
    given = {key.replace("__", "."): value for key, value in keys.items()}
    world.instance = change_instance(world.instance, config=read_configuration(given, base=stored, stored=stored))


# -- each state --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "health", "words"),
    [
        ({"status": 500}, Health.RETRYING, "Query read timeout"),
        ({"drop": True}, Health.RETRYING, "can't be reached"),
        ({"broken_json": True}, Health.RETRYING, "no readable JSON"),
        ({"status": 429}, Health.RATE_LIMITED, "Too many requests"),
        ({"status": 401}, Health.UNAUTHORIZED, "Incorrect public/private key"),
        ({"status": 403}, Health.UNAUTHORIZED, "security permission"),
        ({"status": 400}, Health.REJECTED, "The request is invalid"),
    ],
)
def test_a_failure_shows_its_name_and_connectwises_words(
    watched: PolledInstance, fault: dict[str, Any], health: str, words: str
) -> None:
    before = watched.state
    watched.store.fail_next(2, **fault)
    failed = watched.poll()
    assert failed.health == health
    assert words in failed.last_error
    assert (failed.failures, failed.cursor, failed.last_good_at) == (1, before.cursor, before.last_good_at)
    watched.store.clear_faults()
    good = watched.poll()
    assert (good.health, good.failures, good.last_error) == (Health.HEALTHY, 0, "")
    assert good.last_good_at is not None
    assert before.last_good_at is not None
    assert good.last_good_at > before.last_good_at


def test_a_poll_that_is_switched_off_is_paused_and_by_hand_it_stays_so(watched: PolledInstance) -> None:
    watched.instance = set_enabled(watched.instance, enabled=False)
    assert watched.state.health == Health.PAUSED
    assert make_due(PollState.objects.all()) == 0
    assert watched.state.next_poll_at is None
    set_enabled(watched.instance, enabled=True)
    assert watched.state.health == Health.HEALTHY
    assert scheduled(watched)["contacts"] <= timedelta(0)


def test_a_fault_of_our_own_is_retried_and_says_to_look_into_the_log(watched: PolledInstance) -> None:
    job = claimed(watched)
    job.fail(KeyError("secret words"))
    state = watched.state
    assert state.health == Health.RETRYING
    assert "KeyError" in state.last_error
    assert "secret" not in state.last_error


# -- when it is tried again --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("failures", "seconds"), [(1, 30), (2, 60), (3, 120), (6, 900), (1000, 900)])
def test_the_wait_doubles_up_to_a_quarter_of_an_hour(failures: int, seconds: int) -> None:
    wait = decide_retry(errors.ServerFault("no"), failures).wait.total_seconds()
    assert 0.8 * seconds <= wait <= 1.2 * seconds


def test_a_retry_after_longer_than_the_wait_counts() -> None:
    assert decide_retry(errors.ServerFault("no", retry_after=2000), 1).wait == timedelta(seconds=2000)


@pytest.mark.parametrize("error", [errors.RateLimited, errors.ServerFault])
def test_a_retry_after_gone_wrong_is_an_hour_at_most(error: type[errors.ConnectWiseError]) -> None:
    wait = decide_retry(error("no", retry_after=8000 * 365 * 86400.0), 1).wait
    assert timedelta(hours=1) <= wait <= timedelta(hours=1, seconds=5)


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (errors.Unauthorized("no", status=401), RetryDecision(Health.UNAUTHORIZED, PROBE_EVERY, stops_instance=True)),
        (errors.Forbidden("no", status=403), RetryDecision(Health.UNAUTHORIZED, PROBE_EVERY, login_accepted=True)),
        (errors.Rejected("no", status=400), RetryDecision(Health.REJECTED, PROBE_EVERY, login_accepted=True)),
        (errors.NotFound("no", status=404), RetryDecision(Health.REJECTED, PROBE_EVERY)),
    ],
)
def test_what_does_not_pass_by_itself_is_tried_hourly(error: errors.ConnectWiseError, decision: RetryDecision) -> None:
    assert decide_retry(error, 1) == decision


def test_a_poll_recovers_by_itself_once_the_cause_is_gone(watched: PolledInstance) -> None:
    watched.store.fail_next(1, status=500)
    watched.poll()
    watched.change(3, "Chief")
    assert run_due() == 0
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=40)):
        assert run_due() == 1
    assert watched.recorded() == [("UPDATED", "3")]
    assert watched.state.health == Health.HEALTHY


# -- who else stops ----------------------------------------------------------------------------------------------------


def test_403_on_one_resource_stops_only_that(three: PolledInstance) -> None:
    three.store.forbid("incidents")
    three.poll()
    assert healths(three) == {"contacts": "healthy", "incidents": "unauthorized", "organizations": "healthy"}
    waits = scheduled(three)
    assert timedelta(minutes=59) < waits["incidents"] <= timedelta(hours=1)
    assert max(waits["contacts"], waits["organizations"]) <= timedelta(minutes=15)
    three.store.allow("incidents")
    three.poll()
    assert set(healths(three).values()) == {"healthy"}


def test_401_stops_the_instance_but_for_one_probe_an_hour(three: PolledInstance) -> None:
    three.store.set_keys("PUB", "another")
    three.poll()
    assert set(healths(three).values()) == {"unauthorized"}
    three.store.clear_requests()
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=59)):
        assert run_due() == 0
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=61)):
        assert run_due() == 1
        assert len(paths(three)) == 1
        assert len(scheduled(three)) == 1
        assert run_due() == 0


def test_a_refused_login_leaves_a_paused_poll_paused(three: PolledInstance) -> None:
    stored = config_of(three.instance)
    polls = {**THREE, "organizations": {"enabled": False}}
    config = read_configuration({"event.poller.configuration": polls}, base=stored, stored=stored)
    three.instance = change_instance(three.instance, config=config)
    three.store.set_keys("PUB", "another")
    three.poll()
    assert healths(three)["organizations"] == Health.PAUSED


def test_a_sweep_that_is_refused_stops_the_polls_as_a_poll_would(three: PolledInstance) -> None:
    state = three.state
    token, _ = claim(PollState.objects.all(), [state.pk], now=timezone.now(), length=LEASE)
    fail_sweep(state, token, None, errors.Unauthorized("no", status=401))
    assert healths(three) == dict.fromkeys(THREE, Health.UNAUTHORIZED)
    assert three.state.failures == three.state.sweep_failures == 1
    assert PollState.objects.filter(next_poll_at=None).count() == 2
    probe = three.state.next_poll_at
    assert probe is not None
    assert probe > timezone.now() + timedelta(minutes=59)


@pytest.mark.parametrize("error", [ValueError("ours"), errors.ServerFault("theirs", status=500)])
def test_a_sweep_that_fails_otherwise_leaves_its_poll_alone(three: PolledInstance, error: Exception) -> None:
    state = three.state
    token, _ = claim(PollState.objects.all(), [state.pk], now=timezone.now(), length=LEASE)
    fail_sweep(state, token, None, error)
    after = three.state
    assert (after.health, after.failures, after.next_poll_at) == (Health.HEALTHY, 0, state.next_poll_at)
    assert (after.sweep_failures, after.lease_token) == (1, None)
    assert after.sweep_error != ""
    assert after.next_sweep_at is not None
    assert timezone.now() < after.next_sweep_at < timezone.now() + timedelta(minutes=1)


def test_the_probe_that_succeeds_starts_the_others_again(three: PolledInstance) -> None:
    three.store.set_keys("PUB", "another")
    three.poll()
    three.store.set_keys("PUB", "PRIV")
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=61)):
        assert run_due() == 3
    assert set(healths(three).values()) == {"healthy"}


@pytest.mark.parametrize("status", [500, 403, 400, 429])
def test_a_probe_that_meets_another_failure_leaves_nobody_stopped_for_ever(three: PolledInstance, status: int) -> None:
    three.store.set_keys("PUB", "another")
    three.poll()
    three.store.set_keys("PUB", "PRIV")
    three.store.fail_next(1, status=status)
    for minutes in (61, 180):
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=minutes)):
            run_due()
    assert set(healths(three).values()) == {"healthy"}


@pytest.mark.parametrize("error", [errors.Unauthorized("no", status=401), errors.Forbidden("no", status=403)])
def test_a_refusal_locks_the_instances_polls_in_one_order(
    three: PolledInstance, error: errors.ConnectWiseError
) -> None:
    """Two that are refused at a time would wait for each other, and one of them would fail."""
    job = claimed(three)
    with CaptureQueriesContext(connection) as captured:
        fail_run(job.state, job.token, job.run, error)
    polls = [query["sql"] for query in captured if '"polling_pollstate"' in query["sql"]]
    assert polls[0].startswith("SELECT")
    assert "ORDER BY" in polls[0]


def test_new_credentials_start_the_polls_again_at_once(three: PolledInstance) -> None:
    three.store.set_keys("NEW", "KEY")
    three.poll()
    assert set(healths(three).values()) == {"unauthorized"}
    change(three, public__key="NEW", private__key="KEY")
    three.store.clear_requests()
    assert run_due() == 3
    assert len(set(paths(three))) == 3
    assert set(healths(three).values()) == {"healthy"}


def test_polls_stopped_by_a_refused_login_go_on_by_hand(three: PolledInstance) -> None:
    three.store.set_keys("PUB", "another")
    three.poll()
    three.store.set_keys("PUB", "PRIV")
    assert make_due(PollState.objects.all()) == 3
    run_due()
    assert set(healths(three).values()) == {"healthy"}


def test_a_rejected_poll_goes_on_by_hand(watched: PolledInstance) -> None:
    watched.store.fail_next(1, status=400)
    watched.poll()
    assert run_due() == 0
    assert make_due(PollState.objects.all()) == 1
    assert run_due() == 1
    assert watched.state.health == Health.HEALTHY


# -- rate limits -------------------------------------------------------------------------------------------------------


def test_a_rate_limit_holds_every_instance_of_the_company(watched: PolledInstance, other_tenant: Tenant) -> None:
    other = PolledInstance(other_tenant, watched.sandbox)
    other.watch(company="ACME")
    other.poll()
    watched.store.fail_next(1, status=429, headers={"Retry-After": "60"})
    watched.poll()
    make_due(PollState.objects.all())
    watched.store.clear_requests()
    assert run_due() == 0
    assert watched.store.requests == []
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=66)):
        assert run_due() == 2
    assert (watched.state.health, other.state.health) == (Health.HEALTHY, Health.HEALTHY)


def test_a_poll_between_two_pages_waits_as_well(world: PolledInstance) -> None:
    world.watch(poll={"pageSize": 1})
    world.change(3, "Chief")
    world.change(4, "Chief")
    job = claimed(world)
    until = timezone.now() + timedelta(seconds=60)
    Site.objects.create(key=world.state.site, blocked_until=until)
    loop = PollLoop(PollState.objects.all(), deadline=float("inf"))
    assert loop.settle([(job, answered(job))]) == []
    assert loop.run() == 0
    assert (world.state.lease_token, world.run.status, world.run.page) == (None, PollRun.Status.OPEN, 1)
    assert world.recorded() == [("UPDATED", "3")]
    with time_machine.travel(until + timedelta(seconds=1)):
        loop.run()
    assert world.recorded() == [("UPDATED", "4")]


@pytest.mark.parametrize("seconds", ["1", "90"])
def test_a_poll_that_was_under_way_does_not_cut_a_longer_wait_short(watched: PolledInstance, seconds: str) -> None:
    job = claimed(watched)
    until = timezone.now() + timedelta(seconds=60)
    Site.objects.create(key=watched.state.site, blocked_until=until)
    watched.store.fail_next(1, status=429, headers={"Retry-After": seconds})
    with pytest.raises(errors.RateLimited) as limited:
        job.request()()
    fail_run(job.state, job.token, job.run, limited.value)
    blocked = Site.objects.get().blocked_until
    assert blocked == until if seconds == "1" else blocked > until


def claimed(world: PolledInstance) -> PollJob:
    """Take the contacts' poll over, as a worker does."""
    make_due(PollState.objects.all())
    token, keys = claim(PollState.objects.all(), [world.state.pk], now=timezone.now(), length=LEASE)
    return PollJob(PollState.objects.select_related("resource_poll__instance__organization").get(pk=keys[0]), token)
