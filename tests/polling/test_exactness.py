"""The promise itself: whatever happens, after a last good poll the events are exactly what a poll could see.

A hypothesis state machine drives the real poller, the real database and the sandbox through random schedules of
writes, polls, failures, crashes and overtaken workers; `model.py` knows the truth. Time stands still but for the steps
that move it. 50 schedules run, in CI 100; `HYPOTHESIS_PROFILE=long` runs 2,000 longer ones.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError, OperationalError, connection
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pytest_django import Settings

from cwconnect.connectwise.errors import ConnectWiseError
from cwconnect.sandbox import SandboxServer, Store
from instances.configuration.config_keys import POLLS as POLLS_KEY
from instances.configuration.config_keys import InstanceConfig
from instances.configuration.wire import config_of, read_configuration
from instances.models import Instance
from instances.provisioning import change_instance, create_instance, set_enabled
from polling.callbacks.announced_reads import AnnouncedJob, claim_announced
from polling.detection.deletes.deletions import sweep_now
from polling.detection.deletes.sweeps import SweepJob
from polling.detection.jobs import LEASE, Job
from polling.detection.poll_loop import POLLS, POLLS_AND_SWEEPS
from polling.detection.polls.backfill import request_backfill
from polling.detection.polls.runs import PollJob
from polling.models import Event, Health, LogPosition, Notification, PollRun, PollState, Site, SubscriptionEvent
from polling.workers.due import make_due
from polling.workers.leases import LeaseLostError, claim
from tests.conftest import Tenant
from tests.garbled import WAYS
from tests.seed import example_body
from tests.support.exactness_callbacks import PICKS, CallbackRules, run_loop
from tests.support.exactness_model import LOOK_BACK, RecordedEvent, Rules, Truth
from tests.support.exactness_subscriptions import SubscriptionRules
from tests.support.required import LENGTHY
from tests.support.sandboxes import start_sandbox

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
OFTEN = 100 if connection.vendor == "sqlite" else 50  # CI runs both: these come on top of those
SETTINGS = settings(
    max_examples=2000 if LONG else OFTEN if LENGTHY else 20,
    stateful_step_count=30 if LONG else 20,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)
BEGINNING = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()
TITLES = ("Chief", "Owner", "Clerk", "Chief\x01")
FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 429},
    {"status": 500},
    {"status": 503, "body": '[{"id": 1}]'},
    {"status": 401},
    {"status": 403},
    {"status": 400},
    {"status": 200, "body": "{}"},
    {"drop": True},
    {"drop": "midway"},
    {"broken_json": True},
)
LATENESS = st.sampled_from((0, 0, 0, 1, 150, LOOK_BACK, 1000))  # the last is beyond the promise: for backfills
FAR = (datetime(2062, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
DATE_FIELDS = (None, None, "lastUpdated", "nosuch.member", "{text}")  # right, missing in all, or no date
MOVES = ("create", "change", "touch", "delete", "hide", "show", "garble", "mend")
MOST_GARBLED = 8  # each takes some requests of a poll that has not many


class KilledError(BaseException):
    """The process ends here: no handler of ours may see it."""


class DatabaseBreaker:
    """Lets `count` statements pass; then the process dies, the database stays away, or one statement fails."""

    def __init__(self, how: str, count: int) -> None:
        self._how, self._left = how, count

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        self._left -= 1
        if self._left < 0 and self._how == "killed":
            raise KilledError
        if self._left < 0 and self._how == "away":
            raise OperationalError("the connection was lost")
        if self._left == -1:
            raise (OperationalError if self._how == "busy" else DatabaseError)("a statement failed")
        return execute(*arguments)


class Exactness(CallbackRules, SubscriptionRules):
    """One instance, one resource, and everything that may happen to them."""

    server: SandboxServer
    tenant: Tenant
    break_database = DatabaseBreaker

    def __init__(self) -> None:
        super().__init__()
        self._now = BEGINNING
        self._our_offset = 0.0
        self._was_set_back = False
        self._clock = time_machine.travel(self._our_time(), tick=False)
        self._traveller = self._clock.start()
        self._frozen: list[tuple[Job | AnnouncedJob, Any]] = []

    # -- the beginning ---------------------------------------------------------------------------------------------

    @initialize(
        resource=st.sampled_from(("contacts", "contacts", "incidents")),
        page_size=st.integers(1, 5),
        poll_delay=st.sampled_from((0, 0, 400)),
        track=st.booleans(),
        ignore=st.booleans(),
        deletes=st.booleans(),
        by_updated=st.booleans(),
        by_current=st.booleans(),
        ages=st.lists(st.sampled_from((0, 1, 299, 301, 400)), max_size=3),
        dates=st.sampled_from((True, True, False)),
        our_offset=st.sampled_from((0, 0, -3600, 3600)),
        date_field=st.sampled_from(DATE_FIELDS),
        far=st.sampled_from((None, None, *FAR)),
        ends_announced=st.booleans(),
    )
    def begin(
        self,
        resource: str,
        page_size: int,
        poll_delay: int,
        ages: list[int],
        our_offset: int,
        date_field: str | None,
        far: datetime | None,
        *,
        dates: bool,
        track: bool,
        ignore: bool,
        deletes: bool,
        by_updated: bool,
        by_current: bool,
        ends_announced: bool,
    ) -> None:
        self._ends_announced = ends_announced
        self._open_store(resource, our_offset, dates=dates)
        self._age_records(ages, far)
        self._watch(
            {
                "pageSize": page_size,
                "pollDelay": poll_delay,
                "trackChanges": track,
                "ignoreEmptyChanges": ignore,
                "detectDeletes": deletes,
                "filterByUpdatedDate": by_updated,
                "filterByCurrentDate": by_current,
            },
            date_field,
        )
        since = int(self._now) if dates else self._newest_stamp()
        self._rules = Rules(since, 5, max(poll_delay, LOOK_BACK), ignore, track, deletes, by_current)
        self._switch_callbacks_on()
        self._subscribe()

    def _open_store(self, resource: str, our_offset: int, *, dates: bool) -> None:
        """Have ConnectWise hold five records, which may not say its time; our clock is `our_offset` seconds off."""
        self._list, self._field = resource, "title" if resource == "contacts" else "summary"
        self._store = Store({resource: 5}, clock=lambda: datetime.fromtimestamp(self._now, UTC))
        self._store.send_date_header = dates
        self.server.store = self._store
        self.set_our_clock(our_offset)
        self._truth = Truth(self._store, resource)

    def _age_records(self, ages: list[int], far: datetime | None) -> None:
        """Have the first records be so many seconds old, and one of a `far` time."""
        for record_id, age in enumerate(ages, 1):
            self._store.touch(self._list, record_id, stamp=self._now - age)
        if far is not None:
            self._store.touch(self._list, 4, stamp=far)  # an old one, so that the newest stamp is as it was
        self._truth.observe()

    def _watch(self, options: dict[str, object], date_field: str | None) -> None:
        """Create the instance, its one poll with these options."""
        created = "_info.dateEntered" if self._list == "incidents" else "_info.lastUpdated"
        body = example_body(self.server.url)["configuration"]
        body["event.poller.configuration"] = {
            self._list: {
                "url": f"/hubs/crm/{self._list}?where=lastUpdated>'${{date}}'",
                "datesConfiguration": {"createdDateField": created, **self._dated_by(date_field)},
            }
            | options
        }
        config = read_configuration(body, base=InstanceConfig())
        self._instance, _ = create_instance(
            organization=self.tenant.organization, user=self.tenant.user, name="Exact", tags=[], config=config
        )

    def _newest_stamp(self) -> int:
        """Return the newest stamp that is not far ahead of our clock."""
        stamps = (self._truth.histories[record_id].versions[-1].stamp for record_id in range(1, 6))
        return max(stamp for stamp in stamps if stamp <= self._our_time().timestamp() + 3600)

    def _dated_by(self, field: str | None) -> dict[str, str]:
        """Name the date field, as it is or as people mistake it."""
        return {} if field is None else {"updatedDateField": field.format(text=self._field)}

    # -- ConnectWise -----------------------------------------------------------------------------------------------

    @rule(late=LATENESS)
    def create(self, late: int) -> None:
        after = timedelta(seconds=late) if late else None
        made = self._store.create(self._list, visible_after=after)
        self._truth.due[made["id"]] = self._now + late
        self._truth.observe()

    @rule(pick=PICKS, title=st.sampled_from(TITLES), late=LATENESS)
    def change(self, pick: int, title: str, late: int) -> None:
        self._alter(pick, {self._field: title}, late)

    @rule(pick=PICKS, late=LATENESS)
    def touch(self, pick: int, late: int) -> None:
        self._alter(pick, {}, late)

    def _alter(self, pick: int, fields: dict[str, Any], late: int) -> list[int]:
        """Change a record; give its id, if there is one."""
        ids = self._store.ids(self._list)
        if not ids:
            return []
        record_id = ids[-1 - pick % len(ids)]
        self._store.change(self._list, record_id, fields, stamp=int(self._now) - late)
        self._truth.observe()
        return [record_id]

    @rule(pick=PICKS, title=st.sampled_from(TITLES), stamp=st.sampled_from(FAR), creates=st.booleans())
    def write_with_a_stamp_from_the_far_future(self, pick: int, title: str, stamp: datetime, *, creates: bool) -> None:
        if creates:
            self._store.create(self._list, stamp=stamp)
            self._truth.observe()
        else:
            self._alter(pick, {self._field: title}, int(self._now) - int(stamp.timestamp()))

    @rule(pick=PICKS, concealed=st.booleans(), title=st.sampled_from((None, *TITLES)))
    def conceal_or_show_a_stamp(self, pick: int, title: str | None, *, concealed: bool) -> None:
        """Of a record that is as it was, or that is changed with it."""
        ids = self._store.ids(self._list)
        if ids:
            self._store.conceal_stamps(self._list, [ids[-1 - pick % len(ids)]], concealed=concealed)
            self._truth.observe()
        if title is not None:
            self._alter(pick, {self._field: title}, 0)

    @rule(most=st.sampled_from((1, 2, 1000)), links=st.booleans())
    def page_otherwise(self, most: int, *, links: bool) -> None:
        """The site caps its pages and names the next in `Link`, or has whole pages and says nothing of a next one."""
        self._store.largest_page, self._store.send_links = (most, True) if links else (1000, False)

    @rule(raw=st.booleans())
    def show_control_characters(self, *, raw: bool) -> None:
        """As they are, which makes a page no JSON; or escaped."""
        self._store.raw_controls = raw

    @rule(pick=PICKS, how=st.sampled_from((None, *sorted(WAYS))))
    def garble_or_mend(self, pick: int, how: str | None) -> None:
        """A record's answers are no JSON, in whichever way, or are again; its id alone can still be asked for."""
        ids = self._store.ids(self._list)
        if ids and (how is None or len(self._store.table(self._list).garbled) < MOST_GARBLED):
            self._store.garble(self._list, [ids[-1 - pick % len(ids)]], None if how is None else WAYS[how])
            self._truth.observe()

    def mend(self) -> None:
        self._store.garble(self._list, [*self._store.table(self._list).garbled], None)
        self._truth.observe()

    @rule(pick=PICKS)
    def delete(self, pick: int) -> None:
        ids = self._store.ids(self._list)
        if ids:
            self._store.delete(self._list, ids[-1 - pick % len(ids)])
            self._truth.observe()

    @rule(pick=PICKS, shows=st.booleans())
    def hide_or_show(self, pick: int, *, shows: bool) -> None:
        self.show() if shows else self.hide(pick)

    def hide(self, pick: int) -> None:
        ids = self._store.ids(self._list)
        if ids:
            self._store.hide(self._list, [ids[-1 - pick % len(ids)]])
            self._truth.observe()

    def show(self) -> None:
        self._store.show(self._list)
        self._truth.observe()

    @rule(may_read=st.booleans())
    def change_the_role(self, *, may_read: bool) -> None:
        (self._store.allow if may_read else self._store.forbid)(self._list)

    @precondition(lambda self: not self._was_set_back)  # the rows' stamps are then no clock to go by
    @rule(sends=st.booleans())
    def send_dates(self, *, sends: bool) -> None:
        self._store.send_date_header = sends

    # -- time ------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((0.4, 1, 30, 299, 301, 5000)))
    def pass_time(self, seconds: float) -> None:
        self._now += seconds
        self._traveller.move_to(self._our_time())
        self._truth.observe()

    @rule(
        back=st.sampled_from((1, 200, 400, 5000)),
        seconds=st.sampled_from((0, 0.4, 60)),
        pick=PICKS,
        early=st.booleans(),
    )
    def set_their_clock_back(self, back: int, seconds: float, pick: int, *, early: bool) -> None:
        """Between two good polls, not so far that time makes good for it, and while ours is right; what is written
        then is recorded by the second poll that follows, though callbacks had it looked for before that."""
        self._store.send_date_header = self._was_set_back = True
        self.mend()
        self._make_good()
        shown = int(self._now)  # `Date` has whole seconds: what it does not show to have gone back, nobody can notice
        self._now -= back
        self._our_offset += back
        self._rules.recorded_from = 0  # what was written before watching began has stamps like those written now
        if early:
            self._announce_early()
        altered = self._alter(pick, {self._field: "Back"}, 0)
        self._rules.written_by_a_clock_set_back.update(altered)
        self.create(0)
        if int(self._now + min(seconds, back / 2)) < shown:
            self.pass_time(min(seconds, back / 2))
        if early:
            self.work(0)  # reads by their ids alone
        self._make_good()
        self._make_good()

    @rule(offset=st.sampled_from((-3600, -200, 0, 200, 3600)))
    def set_our_clock(self, offset: int) -> None:
        self._our_offset = offset
        self._traveller.move_to(self._our_time())

    def _our_time(self) -> datetime:
        return datetime.fromtimestamp(self._now + self._our_offset, UTC)

    # -- polls -----------------------------------------------------------------------------------------------------

    @rule(overtakes=st.booleans(), sweeps=st.booleans())
    def poll(self, *, overtakes: bool, sweeps: bool) -> None:
        """Poll, and sweep if asked to; whoever holds the lease is overtaken, or else there is nothing to do."""
        if overtakes:
            self._expire_leases()
        self._poll(sweeps=sweeps)

    @rule(fault=st.sampled_from(FAULTS), skip=st.integers(0, 5), sweeps=st.booleans())
    def poll_badly(self, fault: dict[str, Any], skip: int, *, sweeps: bool) -> None:
        self._store.fail_next(1, skip=skip, **fault)
        self._poll(sweeps=sweeps)
        self._store.clear_faults()

    @rule(how=st.sampled_from(("killed", "away", "busy", "fault")), count=st.integers(0, 60), sweeps=st.booleans())
    def poll_on_a_bad_database(self, how: str, count: int, *, sweeps: bool) -> None:
        self._make_due(sweeps=sweeps)
        try:
            with connection.execute_wrapper(DatabaseBreaker(how, count)):
                self._run(sweeps=sweeps)
        except (KilledError, DatabaseError):
            pass  # whoever comes next finds only what was committed

    @rule(at=st.integers(1, 6), act=st.sampled_from(MOVES), pick=PICKS, sweeps=st.booleans())
    def poll_while_rows_move(self, at: int, act: str, pick: int, *, sweeps: bool) -> None:
        seen: list[object] = []

        def move(request: object) -> None:
            seen.append(request)
            if len(seen) == at:
                self._move(act, pick)

        with self._hook(move):
            self._poll(sweeps=sweeps)

    def _move(self, act: str, pick: int) -> None:
        if act in ("create", "show"):
            self.create(0) if act == "create" else self.show()
        elif act in ("garble", "mend"):
            self.garble_or_mend(pick, sorted(WAYS)[pick % len(WAYS)]) if act == "garble" else self.mend()
        elif act in ("change", "touch"):
            self._alter(pick, {self._field: "Boss"} if act == "change" else {}, 0)
        else:
            (self.delete if act == "delete" else self.hide)(pick)

    @contextmanager
    def _hook(self, hook: Callable[[object], None]) -> Iterator[None]:
        stop = self._store.on_request(hook)
        try:
            yield
        finally:
            stop()

    @rule(at=st.integers(1, 4))
    def poll_over_a_line_that_breaks(self, at: int) -> None:
        self._store.fail_next(1, skip=at - 1, drop=True)
        self._poll()
        self._store.clear_faults()

    @rule(pick=PICKS, status=st.sampled_from((400, 403, 405, 410)))
    def sweep_with_one_id_refused(self, pick: int, status: int) -> None:
        """It concerns that record alone: the polls go on, and the next sweep asks for it again."""
        record_id = sorted(self._truth.histories)[-1 - pick % len(self._truth.histories)]
        path = self._store.table(self._list).spec.path.rpartition("/")[2]
        self._store.fail_next(20, status=status, path=f"{path}/{record_id}")
        self._expire_leases()
        self._poll(sweeps=True)
        self._store.clear_faults()
        if not self._store.table(self._list).forbidden:
            assert self._state.health != Health.UNAUTHORIZED

    @rule()
    def ask_for_a_sweep(self) -> None:
        """One that is open, and passed what was deleted since, is no answer."""
        sweep_now(self._polls())

    # -- workers ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self._frozen) < 3)
    @rule(sweeps=st.booleans(), reads_announced=st.booleans())
    def freeze(self, *, sweeps: bool, reads_announced: bool) -> None:
        """A worker takes the poll over, or the sweep, has an answer, and stands still with it in hand."""
        self._expire_leases()
        announced = claim_announced(1, []) if reads_announced else []
        for job in announced:
            assert isinstance(job, AnnouncedJob)
            self._hold(job)
        if not announced:
            self._freeze_over_a_page(sweeps=sweeps)

    def _freeze_over_a_page(self, *, sweeps: bool) -> None:
        self._expire_leases()
        self._make_due()
        token, keys = claim(self._polls(), [self._state.pk], now=timezone.now(), length=LEASE)
        for state in self._polls().filter(pk__in=keys):
            job = SweepJob(state, token) if sweeps and self._rules.detect_deletes else PollJob(state, token)
            self._hold(job)

    @rule(pick=PICKS, title=st.sampled_from(TITLES), wakes=st.booleans())
    def overtake(self, pick: int, title: str, *, wakes: bool) -> None:
        """A worker freezes over a page that is stale when another has polled; it wakes up now, or later."""
        if len(self._frozen) < 3:
            self._freeze_over_a_page(sweeps=False)
        self._alter(pick, {self._field: title}, 0)
        self.poll(overtakes=True, sweeps=False)
        if wakes and self._frozen:
            self.thaw(len(self._frozen) - 1, goes_on=True)

    @precondition(lambda self: self._frozen)
    @rule(pick=PICKS, goes_on=st.booleans())
    def thaw(self, pick: int, *, goes_on: bool) -> None:
        """It wakes up and writes, as far as it may: nothing if it was overtaken."""
        job, answer = self._frozen.pop(pick % len(self._frozen))
        try:
            if job.commit(answer) and goes_on:
                self._hold(job)
        except ConnectWiseError as error:
            job.fail(error)
        except LeaseLostError:
            assert not PollState.objects.filter(pk=job.key, lease_token=job.token).exists() or self._rewound(job)

    @staticmethod
    def _rewound(job: Job | AnnouncedJob) -> bool:
        """Whether a backfill was widened beneath the worker."""
        return PollRun.objects.filter(pk=job.progress.pk, kind=PollRun.Kind.BACKFILL).exists()

    def _hold(self, job: Job | AnnouncedJob) -> None:
        try:
            self._frozen.append((job, job.request()()))
        except ConnectWiseError as error:
            job.fail(error)

    # -- people ----------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((0, 400, 5000)))
    def ask_for_a_backfill(self, seconds: int) -> None:
        since = int(self._now) - seconds
        request_backfill(self._polls(), datetime.fromtimestamp(since, UTC))
        self._rules.recorded_from = min(self._rules.recorded_from, since)

    @rule(enabled=st.booleans())
    def switch(self, *, enabled: bool) -> None:
        self._instance = set_enabled(self._instance, enabled=enabled)

    @rule(
        page_size=st.integers(1, 5),
        whole=st.booleans(),
        id_field=st.sampled_from(("id", "id", "nosuch", "_info.updatedBy")),
        date_field=st.sampled_from(DATE_FIELDS),
    )
    def change_the_configuration(self, page_size: int, id_field: str, date_field: str | None, *, whole: bool) -> None:
        """A run under way is abandoned, and whoever works on it writes nothing; the list stays the same."""
        stored = config_of(self._instance)
        before = stored.polls[self._list]
        dates = {"createdDateField": before["datesConfiguration"]["createdDateField"], **self._dated_by(date_field)}
        url = f"/hubs/crm/{self._list}?where=lastUpdated>'${{date}}'" + ("" if whole else f"&fields={self._field}")
        if not whole:
            self._rules.fields = frozenset(("id", "_info", self._field))
        poll = {**before, "url": url, "pageSize": page_size, "idField": id_field, "datesConfiguration": dates}
        config = read_configuration({POLLS_KEY: {self._list: poll}}, base=stored, stored=stored)
        self._instance = change_instance(self._instance, config=config)

    # -- the promise -----------------------------------------------------------------------------------------------

    @rule(backfill=st.sampled_from((None, None, 400, 5000)), announces=st.booleans())
    def a_good_poll_records_exactly_the_truth(self, backfill: int | None, *, announces: bool) -> None:
        if backfill is not None:
            self.ask_for_a_backfill(backfill)
        self._make_good()
        if announces:
            self._announce(deletes=True)  # before a sweep finds them
            self._make_good()  # seconds went by, and what was written late may be read by now
        if self._rules.detect_deletes:
            self._go_through(PollRun.Kind.SWEEP)
        reread_from = None if backfill is None else int(self._now) - backfill
        self._truth.check(self._recorded(), self._rules, reread_from=reread_from)
        if announces:
            self._announce(deletes=False)  # after that, or what is read by its id would hide what a poll missed
            self._make_good()
            self._truth.check(self._recorded(), self._rules, reread_from=reread_from)
        self._check_notifications()
        self._check_subscriptions()
        self._check_no_body_was_recorded()

    def _make_good(self) -> None:
        """Take whatever stands in the way of a poll out of it, and poll."""
        self._store.allow(self._list)
        self.switch(enabled=True)
        self._go_through(PollRun.Kind.BACKFILL, PollRun.Kind.POLL)

    def _go_through(self, *kinds: PollRun.Kind) -> None:
        """Poll or sweep until a run that began now is complete: an open one is carried on first."""
        open_before = True
        for _ in range(4):
            open_before = PollRun.objects.filter(status=PollRun.Status.OPEN, kind__in=kinds).exists()
            self._expire_leases()
            self._poll(sweeps=PollRun.Kind.SWEEP in kinds)
            last = PollRun.objects.filter(kind__in=kinds).latest("pk")
            if not open_before and last.status == PollRun.Status.COMPLETE:
                break
        assert self._state.health in (Health.HEALTHY, Health.HELD), self._state.last_error
        assert PollRun.Kind.SWEEP not in kinds or not self._state.sweep_error
        assert not open_before
        assert last.status == PollRun.Status.COMPLETE

    def teardown(self) -> None:
        try:
            if hasattr(self, "_instance"):
                self.a_good_poll_records_exactly_the_truth(None, announces=self._ends_announced)
        finally:
            self._clock.stop()
            SubscriptionEvent.objects.all().delete()
            Instance.objects.all().delete()
            Site.objects.all().delete()
            LogPosition.objects.all().delete()

    def _recorded(self) -> dict[int, list[RecordedEvent]]:
        recorded: dict[int, list[RecordedEvent]] = {}
        for event in Event.objects.order_by("pk"):
            changes = None if event.changes is None else json.loads(event.changes)
            one = RecordedEvent(event.kind, json.loads(event.record), changes, tracked=event.changes is not None)
            recorded.setdefault(event.record_id, []).append(one)
        return recorded

    @staticmethod
    def _check_notifications() -> None:
        """Every event stands in the body of one notification, in the order of the events."""
        notifications = Notification.objects.filter(subscription=None).order_by("pk").values_list("body", flat=True)
        sent = [json.loads(body)["message"]["events"] for body in notifications]
        events = Event.objects.order_by("pk").values_list("object_id", "kind")
        assert all(1 <= len(batch) <= 10 for batch in sent)
        assert [(one["objectId"], one["eventType"]) for batch in sent for one in batch] == list(events)

    # -- helpers ---------------------------------------------------------------------------------------------------

    def _polls(self) -> Any:
        polls = PollState.objects.filter(resource_poll__instance=self._instance)
        return polls.select_related("resource_poll__instance__organization")

    @property
    def _state(self) -> PollState:
        state: PollState = self._polls().get()
        return state

    def _make_due(self, *, sweeps: bool = False) -> None:
        Site.objects.all().delete()
        make_due(self._polls())
        self._polls().filter(next_sweep_at__isnull=False).update(
            next_sweep_at=timezone.now() + (timedelta(0) if sweeps else timedelta(days=1))
        )

    def _expire_leases(self) -> None:
        PollState.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

    def _poll(self, *, sweeps: bool = False) -> None:
        self._make_due(sweeps=sweeps)
        self._run(sweeps=sweeps)

    def _run(self, *, sweeps: bool) -> None:
        kinds = POLLS_AND_SWEEPS if sweeps and self._rules.detect_deletes else POLLS
        run_loop(PollState.objects.filter(pk=self._state.pk), kinds)


@pytest.fixture
def _quiet() -> Iterator[None]:
    """Thousands of failures on order would fill the log."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(7200 if LONG else 300)
@pytest.mark.usefixtures("_quiet")
def test_events_are_exactly_what_happened(transactional_db: None, tenant: Tenant, settings: Settings) -> None:
    settings.CONNECTWISE_CLIENT_ID = "a-client-id"
    with start_sandbox(records={}) as server:
        machine = type("Exactness", (Exactness,), {"server": server, "tenant": tenant})
        run_state_machine_as_test(machine, settings=SETTINGS)
