"""Copies as the workers read them: page by page beside the polls, once each, whatever happens to workers and sites."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError, connection
from django.utils import timezone
from pytest_django import Settings

from cwconnect.core.errors import ConflictError, DomainError
from instances.configuration.wire import config_of, read_configuration
from instances.hub.transformations import delete_transformation, put_transformation
from instances.models import AuditEntry, Instance
from instances.provisioning import change_instance, delete_instance, set_enabled
from instances.secrets import Secret
from polling.copies import files
from polling.copies.asking import MOST_KEPT, MOST_OPEN, cancel_copy, copies_of, start_copy, state_in_words
from polling.copies.copy_job import MOST_FAILURES, CopyJob, claim_copies
from polling.copies.queries import read_query
from polling.detection.poll_loop import poll_due
from polling.maintenance.clock_skew import repair_clock_skew
from polling.maintenance.purge import purge
from polling.maintenance.retention import prune, silent
from polling.models import Copy, CopyPage, PollState, Site
from polling.workers.due import poll_due_at
from polling.workers.leases import LeaseLostError
from tests.polling.test_exactness import DatabaseBreaker, KilledError
from tests.support.polled_instance import PolledInstance

Status = Copy.Status
CONTACTS = "select * from contacts"
MANY_NAMES, MANY_IDS = ",".join(f"f{n}" for n in range(501)), ",".join(map(str, range(1, 900)))


@pytest.fixture
def world(world: PolledInstance, monkeypatch: pytest.MonkeyPatch) -> PolledInstance:
    """Thirty contacts, watched and polled once; ConnectWise answers ten rows a page."""
    world.watch()
    world.poll()
    PollState.objects.update(next_poll_at=timezone.now() + timedelta(days=1))  # only what a test asks for is due
    monkeypatch.setattr("cwconnect.connectwise.client.LARGEST_PAGE", 10)
    return world


def ask(world: PolledInstance, query: str = CONTACTS) -> Copy:
    return start_copy(Instance.objects.get(pk=world.instance.pk), query)


def work(stopping: Callable[[], bool] = lambda: False) -> Copy:
    poll_due(deadline=float("inf"), stopping=stopping)
    return Copy.objects.select_related("instance", "watched_poll").latest("pk")


def step() -> CopyJob:
    """A worker that keeps one page and is killed; give its job."""
    (job,) = claim_copies(16, [])
    assert isinstance(job, CopyJob)
    assert job.commit(job.request()())
    return job


def moment(value: datetime | None) -> datetime:
    assert value is not None
    return value


def forget_lease() -> None:
    Copy.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def records(copy: Copy) -> list[dict[str, Any]]:
    return [json.loads(line) for page in files.lines_of(copy) for line in page.splitlines()]


def ids(copy: Copy) -> list[int]:
    return [record["id"] for record in records(copy)]


def pages_asked(world: PolledInstance, since: int) -> list[str]:
    seen = world.store.requests[since:]
    return [each.query.get("pageId", "0") for each in seen if "pageSize" in each.query]


def test_it_waits_for_a_worker_and_holds_what_live_reads_show(world: PolledInstance) -> None:
    copy = ask(world)
    assert (copy.status, copy.progress) == (Status.CREATED, None)
    due = poll_due_at(timezone.now())
    assert due is not None
    assert due <= timezone.now()
    since = len(world.store.requests)
    done = work()
    assert (done.status, done.records, done.failed, done.total, done.progress) == (Status.COMPLETED, 30, 0, 30, 100)
    assert (done.next_try_at, done.lease_token, done.error) == (None, None, "")
    assert done.expires_at == moment(done.finished_at) + timedelta(days=3)
    assert ids(done) == list(range(1, 31))
    seventh = world.store.get("contacts", 7) or {}
    assert records(done)[6] == {key: value for key, value in seventh.items() if value is not None}
    assert pages_asked(world, since) == ["0", "10", "20", "30"]
    assert moment(poll_due_at(timezone.now())) > timezone.now()


def test_where_and_fields_are_those_of_live_reads(world: PolledInstance) -> None:
    ask(world, "SELECT firstName, company.id FROM contacts WHERE id > 3 AND id <= 5;")
    done = work()
    assert [sorted(record) for record in records(done)] == [["company", "firstName", "id"]] * 2
    assert done.total == 2
    assert done.fields == ["firstName", "company.id"]


def test_a_field_mapping_counts_as_it_was_when_it_was_asked_for(world: PolledInstance) -> None:
    body = {"vendorName": "contacts", "fields": [{"path": "given.name", "vendorPath": "firstName"}]}
    put_transformation(world.instance, "people", body)
    ask(world, "select given.name from people where given.name is not null and id < 12")
    step()
    delete_transformation(world.instance, "people")
    forget_lease()
    done = work()
    first = world.store.get("contacts", 1) or {}
    assert records(done)[0] == {"id": 1, "given": {"name": first["firstName"]}}
    assert ids(done) == list(range(1, 12))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (None, "q is needed"),
        (7, "q is needed"),
        ("  ", "q is needed"),
        ("contacts", "it must have the form"),
        ("delete from contacts", "it must have the form"),
        ("select * from", "it must have the form"),
        ("select * from contacts limit 5", "order by, limit and offset are not taken"),
        ("select * from contacts where id > 3 order by id desc;", "order by, limit and offset are not taken"),
        ("select * from contacts where", "it must have the form"),
        ("select * from contacts where id >", "Error parsing query"),
        ("select * from contacts where lastUpdated > '${date}'", "Error parsing query"),
        ("select * from nonsense", "There is no resource 'nonsense'"),
        ("select * from contacts/7", "one record"),
        ("select id, from contacts", "names of fields"),
        ("select id, firstName as x from contacts", "names of fields"),
        (CONTACTS.replace("*", MANY_NAMES), "500 fields"),
        (f"{CONTACTS} where id in ({MANY_IDS})", "fit"),
        (f"{CONTACTS} where firstName = 'a\x00b'", "q holds"),
        (f"{CONTACTS} where firstName = '{'a' * 26_000}'", "25,000 are the most"),
    ],
)
def test_what_can_t_be_asked_is_refused_in_words(world: PolledInstance, query: Any, words: str) -> None:
    with pytest.raises(DomainError, match=words.replace("(", r"\(")):
        start_copy(world.instance, query)
    assert not Copy.objects.exists()


def test_words_of_an_order_within_a_text_are_no_order(world: PolledInstance) -> None:
    ask(world, "select * from contacts where firstName != 'x limit 5'")
    assert work().records == 30


def test_every_page_can_be_the_last_of_its_worker(world: PolledInstance) -> None:
    ask(world)
    since = len(world.store.requests)
    for expected in (10, 20, 30):
        step()
        assert Copy.objects.get().records == expected
        assert claim_copies(16, []) == []
        forget_lease()
    done = work()
    assert (done.status, ids(done)) == (Status.COMPLETED, list(range(1, 31)))
    assert pages_asked(world, since) == ["0", "10", "20", "30"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("how", "error"), [("killed", KilledError), ("failed", DatabaseError)])
def test_a_worker_that_dies_at_any_statement_leaves_a_copy_that_is_exact(
    world: PolledInstance, how: str, error: type[BaseException]
) -> None:
    ask(world)
    for page in range(3):
        statements = 0
        while Copy.objects.get().records == page * 10:
            forget_lease()
            Copy.objects.update(next_try_at=timezone.now())
            with suppress(error), connection.execute_wrapper(DatabaseBreaker(how, statements)):
                step()
            statements += 1
            copy = Copy.objects.get()
            assert ids(copy) == list(range(1, copy.records + 1))
        assert statements > 8  # the first of them died
    forget_lease()
    done = work()
    assert (done.status, ids(done)) == (Status.COMPLETED, list(range(1, 31)))
    assert CopyPage.objects.count() == 3


def test_a_worker_that_was_overtaken_writes_nothing(world: PolledInstance) -> None:
    ask(world)
    slow = step()
    answer = slow.request()()
    forget_lease()
    work()
    before = Copy.objects.values().get(), CopyPage.objects.count()
    with pytest.raises(LeaseLostError):
        slow.commit(answer)
    with pytest.raises(LeaseLostError):
        slow.fail(ValueError())
    assert (Copy.objects.values().get(), CopyPage.objects.count()) == before


def test_a_worker_that_is_to_stop_frees_it(world: PolledInstance) -> None:
    ask(world)
    answers = iter([False] * 2)
    stopped = work(lambda: next(answers, True))
    assert (stopped.status, stopped.lease_token) == (Status.RUNNING, None)
    assert work().status == Status.COMPLETED


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"drop": "midway"}, {"broken_json": True}])
def test_what_passes_by_itself_is_waited_for_in_the_middle(world: PolledInstance, fault: dict[str, Any]) -> None:
    ask(world)
    step()
    forget_lease()
    world.store.fail_next(1, **fault)
    failed = work()
    assert (failed.status, failed.failures, failed.records) == (Status.RUNNING, 1, 10)
    assert state_in_words(failed) == failed.error != ""
    assert moment(failed.next_try_at) > timezone.now() + timedelta(seconds=20)
    assert Site.objects.exists() == (fault.get("status") == 429)
    with time_machine.travel(moment(failed.next_try_at) + timedelta(seconds=10), tick=False):
        done = work()
    assert (done.status, done.error, done.failures, ids(done)) == (Status.COMPLETED, "", 0, list(range(1, 31)))


def test_an_outage_that_does_not_end_ends_it(world: PolledInstance) -> None:
    ask(world)
    world.store.fail_next(MOST_FAILURES * 2, status=503)
    for _ in range(MOST_FAILURES):
        Copy.objects.update(next_try_at=timezone.now())
        failed = work()
    assert (failed.status, failed.failures, failed.next_try_at) == (Status.FAILED, MOST_FAILURES, None)
    assert "503" in failed.error


@pytest.mark.parametrize("query", ["select * from contacts where id = 1{}or id = 2", "select id,{}title from contacts"])
def test_a_query_is_read_at_once_however_many_blanks_it_has(world: PolledInstance, query: str) -> None:
    began = time.process_time()
    read = read_query(world.instance, query.format(" " * 15_000))
    assert time.process_time() - began < 10, "a fault here takes the cube of the number of blanks"
    assert read.path == "/company/contacts"


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_connectwise_refuses_ends_it_in_its_words(world: PolledInstance, status: int) -> None:
    ask(world)
    step()
    forget_lease()
    world.store.fail_next(1, status=status, body='{"code":"X","message":"No such luck"}')
    failed = work()
    assert (failed.status, failed.next_try_at) == (Status.FAILED, None)
    assert "No such luck" in state_in_words(failed)
    with pytest.raises(ConflictError, match="failed"):
        files.download(failed, files.Kind.JSON)


def test_a_list_that_can_t_be_counted_is_copied_all_the_same(world: PolledInstance) -> None:
    ask(world)
    world.store.fail_next(1, status=404)
    done = work()
    assert (done.status, done.total, done.records, done.progress) == (Status.COMPLETED, None, 30, 100)


def test_keys_that_can_t_be_opened_end_it_in_words(world: PolledInstance) -> None:
    ask(world)
    Instance.objects.update(private_key=Secret("cw1:nonsense"))
    failed = work()
    assert failed.status == Status.FAILED
    assert failed.error


def test_records_that_can_t_be_read_are_counted_and_named(world: PolledInstance) -> None:
    world.store.garble("contacts", [7], '{"id":7,"firstName":"')
    ask(world)
    done = work()
    assert (done.records, done.failed, done.total) == (29, 1, 30)
    assert 7 not in ids(done)
    assert "7" in done.notes


def test_the_polls_of_its_company_go_first(world: PolledInstance) -> None:
    ask(world)
    (job,) = claim_copies(16, [])
    PollState.objects.update(next_poll_at=timezone.now())
    assert not job.commit(job.request()())
    waiting = Copy.objects.get()
    assert (waiting.lease_token, waiting.records) == (None, 10)
    assert moment(waiting.next_try_at) > timezone.now()
    assert claim_copies(16, []) == []


def test_a_company_has_one_copy_read_at_a_time_and_others_theirs(world: PolledInstance) -> None:
    ask(world)
    ask(world)
    (job,) = claim_copies(16, [])
    assert claim_copies(16, []) == []  # by another worker
    assert claim_copies(16, [job]) == []
    Copy.objects.exclude(pk=job.key).update(site="another")
    assert Copy.objects.filter(status=Status.RUNNING).count() == 1
    claim_copies(16, [job])  # it is of another company by now, so it ends in words
    other = Copy.objects.exclude(pk=job.key).get()
    assert (other.status, other.error[:24]) == (Status.FAILED, "The instance was given a")


def test_a_company_that_has_to_wait_has_its_copies_wait(world: PolledInstance) -> None:
    copy = ask(world)
    Site.objects.create(key=copy.site, blocked_until=timezone.now() + timedelta(minutes=1))
    assert claim_copies(16, []) == []


def test_a_disabled_instance_waits_and_begins_none(world: PolledInstance) -> None:
    ask(world)
    step()
    set_enabled(world.instance, enabled=False)
    forget_lease()
    waiting = work()
    assert (waiting.status, waiting.records) == (Status.RUNNING, 10)
    assert "disabled" in state_in_words(waiting)
    with pytest.raises(DomainError) as refused:
        start_copy(Instance.objects.get(), CONTACTS)
    assert refused.value.status == 403
    set_enabled(world.instance, enabled=True)
    PollState.objects.update(next_poll_at=None)
    assert work().status == Status.COMPLETED


def test_a_change_of_the_configuration_interrupts_who_reads(world: PolledInstance) -> None:
    ask(world)
    job = step()
    stored = config_of(world.instance)
    config = read_configuration({"event.poller.refresh_interval": 7}, base=stored, stored=stored)
    change_instance(world.instance, config=config)
    PollState.objects.update(next_poll_at=None)
    with pytest.raises(LeaseLostError):
        job.commit(job.request()())
    assert ids(work()) == list(range(1, 31))


@pytest.mark.parametrize("steps", [0, 2])
def test_another_company_ends_it(world: PolledInstance, steps: int) -> None:
    ask(world)
    for _ in range(steps):
        step()
        forget_lease()
    Instance.objects.update(company="another")
    failed = work()
    assert (failed.status, "another ConnectWise company" in failed.error) == (Status.FAILED, True)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_copy_is_cancelled_at_any_page(world: PolledInstance, steps: int) -> None:
    copy = ask(world)
    job = None
    for _ in range(steps):
        forget_lease()
        job = step()
    cancelled = cancel_copy(copy)
    assert (cancelled.status, cancelled.lease_token, cancelled.next_try_at) == (Status.CANCELLED, None, None)
    if job is not None:
        with pytest.raises(LeaseLostError):
            job.commit(job.request()())
    assert claim_copies(16, []) == []
    assert cancel_copy(copy).finished_at == cancelled.finished_at
    prune(timezone.now())
    assert (Copy.objects.count(), CopyPage.objects.count()) == (1, 0)
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))[-2:] == [
        "copy asked for",
        "copy cancelled",
    ]


def test_cancelling_a_complete_one_drops_its_records_and_a_failed_one_stays(world: PolledInstance) -> None:
    ask(world)
    done = work()
    assert cancel_copy(done).status == Status.CANCELLED
    with pytest.raises(ConflictError, match="cancelled"):
        files.download(copies_of(world.instance).get(), files.Kind.CSV)
    Copy.objects.update(status=Status.FAILED)
    assert cancel_copy(done).status == Status.FAILED


def test_an_instance_has_so_many_under_way_and_so_many_kept(world: PolledInstance) -> None:
    for _ in range(MOST_OPEN):
        ask(world)
    with pytest.raises(ConflictError, match="3 copies of this instance are under way already"):
        ask(world)
    cancel_copy(Copy.objects.earliest("pk"))
    ask(world)
    Copy.objects.update(status=Status.COMPLETED)
    first = Copy.objects.earliest("pk")
    Copy.objects.bulk_create(
        Copy(
            instance=world.instance, query=CONTACTS, resource="contacts", path=first.path, asked_at=first.asked_at,
            status=Status.COMPLETED,
        )
        for _ in range(MOST_KEPT - MOST_OPEN - 1)
    )  # fmt: skip
    with pytest.raises(ConflictError, match="100 copies of this instance are kept already"):
        ask(world)


def test_it_is_kept_for_its_days_and_who_downloads_it_has_an_hour_more(
    world: PolledInstance, settings: Settings
) -> None:
    settings.COPY_DAYS = 2
    ask(world)
    done = work()
    until = moment(done.expires_at)
    assert until == moment(done.finished_at) + timedelta(days=2)
    prune(until)
    assert copies_of(world.instance).exists()
    with time_machine.travel(until + timedelta(minutes=1), tick=False):
        assert not copies_of(world.instance).exists()
        prune(timezone.now())
        assert len(records(done)) == 30
    prune(until + timedelta(hours=1, minutes=1))
    assert (Copy.objects.count(), CopyPage.objects.count()) == (0, 0)


def test_one_that_does_not_end_in_its_days_is_ended_in_words(world: PolledInstance) -> None:
    ask(world)
    step()
    prune(timezone.now() + timedelta(days=4))
    failed = Copy.objects.get()
    assert (failed.status, failed.lease_token, failed.next_try_at) == (Status.FAILED, None, None)
    assert failed.error == "It was not complete within the 3 days that a copy is kept."


def test_it_goes_with_its_instance(world: PolledInstance) -> None:
    ask(world)
    job = step()
    delete_instance(world.instance)
    with pytest.raises(LeaseLostError):
        job.commit(job.request()())
    assert claim_copies(16, []) == []
    assert purge(silent) == 1
    assert (Copy.objects.count(), CopyPage.objects.count()) == (0, 0)


def test_a_clock_that_was_ahead_holds_it_up_for_no_longer(world: PolledInstance) -> None:
    ask(world)
    Copy.objects.update(next_try_at=timezone.now() + timedelta(days=300))
    repair_clock_skew(timezone.now())
    assert work().status == Status.COMPLETED


def test_the_audit_log_has_no_value_of_the_query(world: PolledInstance) -> None:
    ask(world, "select id from contacts where firstName = 'Lindqvist'")
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.details) == (
        "copy asked for",
        {"resource": "contacts", "fields": ["id"], "filtered": True},
    )
    assert entry.instance_number == world.instance.pk
