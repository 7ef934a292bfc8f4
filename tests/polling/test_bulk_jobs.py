"""Bulk jobs: each action, what is refused and why, and a worker that is killed at any moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import Settings

from cwconnect.core.errors import DomainError
from instances.models import AuditEntry, Instance, Membership, Organization, ResourcePoll, Role
from instances.pages.access import Person
from instances.provisioning import delete_instance, set_enabled
from polling.bulk import bulk_job
from polling.bulk.bulk_job import BulkWork, claim_bulk_jobs
from polling.bulk.jobs import MOST_INSTANCES, MOST_OPEN, start_bulk_job, stop_bulk_job
from polling.bulk.registry import BulkAction, find_action, register_action
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import pause_delivery
from polling.detection.poll_loop import poll_due
from polling.maintenance.clock_skew import repair_clock_skew
from polling.maintenance.retention import prune
from polling.models import BulkJob, BulkRefusal, DeliveryState, PollState
from polling.workers.due import poll_due_at
from polling.workers.leases import LeaseLostError
from tests.support.page_rows import add_instances

pytestmark = pytest.mark.django_db
Status = BulkJob.Status


@pytest.fixture
def person(organization: Organization) -> Person:
    account = User.objects.create_user("olga")
    Membership.objects.create(account=account, organization=organization, role=Role.OPERATOR)
    return Person(account, organization, Role.OPERATOR, (organization,))


@pytest.fixture
def three(organization: Organization) -> list[Instance]:
    """Three watched instances, none of which is due."""
    return add_instances(organization, 3)


@pytest.fixture
def actions() -> Iterator[Callable[[Callable[[Instance], object]], BulkAction]]:
    """Register an action that does just this to each instance, for one test."""

    def register(apply: Callable[[Instance], object]) -> BulkAction:
        made = BulkAction("tried", lambda count, _: f"Try {count}", lambda instance, _: apply(instance))
        register_action(made)
        return made

    yield register
    from polling.bulk.registry import _actions

    _actions.pop("tried", None)


def ask(person: Person, name: str, instances: list[Instance], **given: str) -> BulkJob:
    action = find_action(name)
    return start_bulk_job(person, action, [each.pk for each in instances], action.read(given))


def work() -> None:
    """Have a worker do what is due, of bulk jobs alone."""
    PollState.objects.update(next_poll_at=None)
    poll_due(deadline=float("inf"), stopping=lambda: False)


def ended(job: BulkJob) -> BulkJob:
    work()
    job.refresh_from_db()
    assert (job.next_try_at, job.lease_token) == (None, None)
    return job


def reasons(job: BulkJob) -> dict[str, str]:
    return dict(job.refusals.values_list("name", "reason"))


def column(name: str) -> list[Any]:
    return list(Instance.objects.order_by("pk").values_list(name, flat=True))


class TestActions:
    """What each does, by the function that does it to one instance."""

    @pytest.mark.parametrize(
        ("name", "given", "changed", "title"),
        [
            ("disable", {}, ("disabled", True), "Disable 3 instances"),
            ("interval", {"minutes": "5"}, ("refresh_interval", 5), "Interval of 3 instances → 5 min"),
            ("add-tags", {"tags": " east, vip,east"}, ("tags", ["east", "vip"]), "Add tag east, vip to 3 instances"),
            ("callbacks-on", {}, ("callbacks_enabled", True), "Callbacks on for 3 instances"),
        ],
    )
    def test_every_instance_is_changed(
        self,
        person: Person,
        three: list[Instance],
        settings: Settings,
        name: str,
        given: dict[str, str],
        changed: tuple[str, Any],
        title: str,
    ) -> None:
        settings.PUBLIC_URL = "https://cwconnect.example.com"
        job = ended(ask(person, name, three, **given))
        assert column(changed[0]) == [changed[1]] * 3
        assert (job.status, job.done, job.refused, job.title) == (Status.COMPLETE, 3, 0, title)

    def test_what_is_so_already_is_left_alone_and_counts_as_done(self, person: Person, three: list[Instance]) -> None:
        Instance.objects.filter(pk=three[0].pk).update(refresh_interval=5)
        job = ended(ask(person, "interval", three, minutes="5"))
        assert (job.done, job.refused) == (3, 0)
        assert AuditEntry.objects.filter(action="instance changed").count() == 2

    def test_instances_are_enabled_again(self, person: Person, three: list[Instance]) -> None:
        set_enabled(three[0], enabled=False)
        ended(ask(person, "enable", three))
        assert column("disabled") == [False] * 3

    def test_one_without_resources_is_changed_as_any(self, person: Person, three: list[Instance]) -> None:
        ResourcePoll.objects.filter(instance=three[0]).delete()
        assert ended(ask(person, "disable", three)).refused == 0

    def test_tags_are_removed(self, person: Person, three: list[Instance]) -> None:
        Instance.objects.update(tags=["east", "vip", "new"])
        job = ask(person, "remove-tags", three, tags="vip,new")
        PollState.objects.update(next_poll_at=None)
        work_one_step()
        assert column("tags") == [["east"]] * 3
        assert not PollState.objects.exclude(next_poll_at=None).exists(), "tags are no reason to poll"
        changed = AuditEntry.objects.filter(action="instance changed")
        assert changed.count() == job.total
        assert changed[0].details == {"tags": [["east", "vip", "new"], ["east"]]}

    def test_callbacks_are_switched_off(self, person: Person, three: list[Instance]) -> None:
        Instance.objects.update(callbacks_enabled=True)
        ended(ask(person, "callbacks-off", three))
        assert column("callbacks_enabled") == [False] * 3

    def test_polls_are_due_at_once_but_for_what_is_off(self, person: Person, three: list[Instance]) -> None:
        set_enabled(three[0], enabled=False)
        Instance.objects.filter(pk=three[1].pk).update(events_enabled=False)
        PollState.objects.update(next_poll_at=None)
        job = ask(person, "poll", three)
        work_one_step()
        due = PollState.objects.filter(next_poll_at__lte=timezone.now())
        assert list(due.values_list("resource_poll__instance_id", flat=True)) == [three[2].pk]
        assert reasons(job) == {three[0].name: "It is disabled.", three[1].name: "Its events are off."}

    def test_paused_delivery_is_released_and_what_is_not_paused_is_refused(
        self, person: Person, three: list[Instance]
    ) -> None:
        pause_delivery(first_subscription(three[1]), "The receiver is gone.", timezone.now())
        job = ended(ask(person, "release", three))
        assert not DeliveryState.objects.filter(paused_at__isnull=False).exists()
        assert (job.done, job.refused) == (3, 2)
        assert set(reasons(job).values()) == {"Its delivery is not paused."}

    def test_instances_are_deleted(self, person: Person, three: list[Instance]) -> None:
        ended(ask(person, "delete", three[:2]))
        assert list(person.instances()) == [three[2]]
        assert AuditEntry.objects.filter(action="instance deleted", actor="the service").count() == 2

    @pytest.mark.parametrize(
        ("name", "given", "why"),
        [
            ("interval", {"minutes": "0"}, "The interval must be a whole number of minutes"),
            ("interval", {}, "The interval must be"),
            ("add-tags", {"tags": " , "}, "No tag was named"),
            ("add-tags", {"tags": "x" * 201}, "longer than 200"),
            ("remove-tags", {"tags": "a\u202eb"}, "A tag holds"),
        ],
    )
    def test_arguments_that_cannot_be_used_begin_no_job(self, name: str, given: dict[str, str], why: str) -> None:
        with pytest.raises(DomainError, match=why):
            find_action(name).read(given)

    def test_an_action_that_nobody_knows_is_refused(self) -> None:
        with pytest.raises(DomainError, match="no such action"):
            find_action("format-disk")


def work_one_step() -> BulkWork:
    """A worker that goes one step and is killed."""
    (job,) = claim_bulk_jobs(16, [])
    assert isinstance(job, BulkWork)
    job.commit(job.request()())
    return job


class TestRefusals:
    """One instance that is refused stops no other, and leaves nothing half done."""

    def test_it_is_written_down_in_words_and_rolled_back(
        self, person: Person, three: list[Instance], actions: Callable[[Any], BulkAction]
    ) -> None:
        def apply(instance: Instance) -> None:
            Instance.objects.filter(pk=instance.pk).update(name=f"changed {instance.pk}")
            if instance.pk == three[1].pk:
                raise DomainError("The interval is too short.", provider_message="No.")

        actions(apply)
        job = ended(ask(person, "tried", three))
        assert (job.status, job.done, job.refused) == (Status.COMPLETE, 3, 1)
        assert reasons(job) == {"Company 1": "The interval is too short. No."}
        assert column("name") == [f"changed {three[0].pk}", "Company 1", f"changed {three[2].pk}"]

    def test_a_fault_of_ours_stops_no_other(
        self, person: Person, three: list[Instance], actions: Callable[[Any], BulkAction], caplog: Any
    ) -> None:
        actions(lambda instance: 1 / (instance.pk - three[0].pk))
        job = ended(ask(person, "tried", three))
        assert (job.done, job.refused) == (3, 1)
        assert "ZeroDivisionError" in reasons(job)["Company 0"]
        assert "ZeroDivisionError" in caplog.text

    def test_what_is_gone_or_anothers_is_refused_by_its_id(
        self, person: Person, three: list[Instance], other_tenant: Any
    ) -> None:
        (foreign,) = add_instances(other_tenant.organization, 1)
        job = ask(person, "disable", [*three, foreign])
        delete_instance(three[0])
        ended(job)
        refused = list(job.refusals.values_list("instance_id", "name", "reason"))
        assert refused == [(each.pk, "", "There is no such instance any more.") for each in (three[0], foreign)]
        foreign.refresh_from_db()
        assert not foreign.disabled

    def test_connectwise_is_never_asked_within_a_job(self, person: Person, three: list[Instance]) -> None:
        """A resource that has not begun would be asked for its newest record: that takes a page of its own."""
        ResourcePoll.objects.filter(instance=three[0]).update(since=None)
        job = ended(ask(person, "interval", three, minutes="5"))
        assert reasons(job) == {"Company 0": bulk_job.NO_CALLS}
        assert column("refresh_interval") == [15, 5, 5]

    def test_one_that_would_have_too_many_tags_is_refused(self, person: Person, three: list[Instance]) -> None:
        Instance.objects.filter(pk=three[2].pk).update(tags=[f"tag {number}" for number in range(100)])
        job = ended(ask(person, "add-tags", three, tags="one more"))
        assert reasons(job) == {"Company 2": "It would have more than 100 tags."}


class TestKills:
    """A worker may die at any moment: the next goes on where it was."""

    def test_the_next_worker_goes_on_after_the_last_instance(
        self, person: Person, three: list[Instance], actions: Callable[[Any], BulkAction], monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(bulk_job, "STEP_SECONDS", 0)
        done: list[int] = []
        actions(lambda instance: done.append(instance.pk))
        job = ask(person, "tried", three)
        work_one_step()
        assert claim_bulk_jobs(16, []) == [], "it is under the dead worker's lease"
        BulkJob.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert ended(job).status == Status.COMPLETE
        assert done == [each.pk for each in three]

    @pytest.mark.parametrize("write", range(1, 14))
    def test_killed_at_any_statement_each_is_changed_once(
        self, person: Person, three: list[Instance], write: int
    ) -> None:
        from django.db import connection

        job = ask(person, "interval", three, minutes="5")
        seen = 0

        def die(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            nonlocal seen
            if sql.startswith(("UPDATE", "INSERT", "DELETE", "RELEASE")):
                seen += 1
                if seen == write:
                    raise KeyboardInterrupt
            return execute(sql, params, many, context)

        (claimed,) = claim_bulk_jobs(16, [])
        with pytest.raises(KeyboardInterrupt), connection.execute_wrapper(die):
            claimed.commit(None)
        BulkJob.objects.update(lease_token=None, lease_until=None)
        assert ended(job).done == 3
        assert AuditEntry.objects.filter(action="instance changed").count() == 3
        assert column("refresh_interval") == [5] * 3

    def test_one_that_was_overtaken_writes_nothing(self, person: Person, three: list[Instance]) -> None:
        ask(person, "disable", three)
        (late,) = claim_bulk_jobs(16, [])
        BulkJob.objects.update(lease_token="another's")
        with pytest.raises(LeaseLostError):
            late.commit(None)
        assert column("disabled") == [False] * 3

    def test_a_clock_that_was_ahead_holds_up_no_job(self, person: Person, three: list[Instance]) -> None:
        ask(person, "disable", three)
        ahead = timezone.now() + timedelta(days=300)
        BulkJob.objects.update(next_try_at=ahead, lease_token="x", lease_until=ahead)
        repair_clock_skew(timezone.now())
        work()
        assert column("disabled") == [True] * 3


class TestRights:
    """Who asked must be allowed to when it runs, too."""

    @pytest.mark.parametrize(
        "lose",
        [
            lambda: Membership.objects.update(role=Role.VIEWER),
            lambda: Membership.objects.all().delete(),
            lambda: User.objects.update(is_active=False),
            lambda: User.objects.all().delete(),
        ],
    )
    def test_who_lost_the_role_has_nothing_more_done(
        self, person: Person, three: list[Instance], lose: Callable[[], object]
    ) -> None:
        job = ask(person, "disable", three)
        lose()
        assert ended(job).status == Status.FAILED
        assert (job.error, job.done) == (bulk_job.NO_RIGHTS, 0)
        assert column("disabled") == [False] * 3

    def test_what_a_worker_does_is_recorded_as_done_by_who_asked(self, person: Person, three: list[Instance]) -> None:
        job = ask(person, "disable", three)
        BulkJob.objects.update(actor="account olga", request_id="5eed")
        ended(job)
        entries = AuditEntry.objects.filter(action="instance disabled")
        assert set(entries.values_list("actor", "request_id", "organization")) == {
            ("account olga", "5eed", person.organization.pk)
        }
        started = AuditEntry.objects.get(action="bulk job started")
        assert started.details == {"action": "disable", "instances": 3}

    def test_a_stopped_job_leaves_the_rest_as_it_is(
        self, person: Person, three: list[Instance], monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(bulk_job, "STEP_SECONDS", 0)
        job = ask(person, "disable", three)
        late = work_one_step()
        assert stop_bulk_job(job, timezone.now())
        assert not stop_bulk_job(job, timezone.now())
        with pytest.raises(LeaseLostError):
            late.commit(None)
        assert (ended(job).status, job.done) == (Status.FAILED, 1)
        assert column("disabled") == [True, False, False]


class TestQueue:
    """Which job goes when."""

    def test_a_job_is_due_at_once_and_jobs_of_one_organization_go_in_turn(
        self, person: Person, three: list[Instance]
    ) -> None:
        assert poll_due_at(timezone.now()) is None
        ask(person, "disable", three)
        ask(person, "enable", three)
        due = poll_due_at(timezone.now())
        assert due is not None
        assert due <= timezone.now()
        assert len(claim_bulk_jobs(16, [])) == 1
        assert claim_bulk_jobs(16, []) == []
        assert poll_due_at(timezone.now()) is None, "the second waits for the first, and wakes nobody"
        BulkJob.objects.update(lease_token=None, lease_until=None)
        work()
        assert column("disabled") == [False] * 3
        assert BulkJob.objects.filter(status=Status.COMPLETE).count() == 2

    def test_too_much_is_refused(self, person: Person, three: list[Instance]) -> None:
        action = find_action("disable")
        with pytest.raises(DomainError, match="No instance"):
            start_bulk_job(person, action, [], {})
        with pytest.raises(DomainError, match="10,000"):
            start_bulk_job(person, action, range(MOST_INSTANCES + 1), {})
        for _ in range(MOST_OPEN):
            ask(person, "disable", three)
        with pytest.raises(DomainError, match="jobs wait already"):
            ask(person, "disable", three)

    def test_ended_jobs_are_forgotten_with_their_refusals(self, person: Person, three: list[Instance]) -> None:
        ended(ask(person, "release", three))
        open_job = ask(person, "disable", three)
        prune(timezone.now() + timedelta(days=400))
        assert list(BulkJob.objects.all()) == [open_job]
        assert not BulkRefusal.objects.exists()
