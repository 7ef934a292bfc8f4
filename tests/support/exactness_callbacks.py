"""The exactness machine's callbacks: sent, lost, doubled, held back, early, forged, of records gone or never there.

Every body is poisoned with content that no record ever had. `exactness_model.py` knows the truth.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from cwconnect.sandbox import Store
from instances.models import Instance
from polling.callbacks.announced_reads import claim_announced
from polling.callbacks.judging import judge_hints
from polling.callbacks.receiving import Taken, take
from polling.callbacks.signing_keys import keep_key
from polling.detection.claiming import Due
from polling.detection.poll_loop import POLLS_AND_SWEEPS, PollLoop
from polling.models import AnnouncedRecord, CallbackHint, Event, Notification, PollState, SnapshotBody
from tests.support.callbacks import POISON, SIGNING_KEY, Announcer, enable_callbacks, signature_of
from tests.support.exactness_model import RecordedEvent, Rules, Truth

PICKS = st.integers(0, 30)
NEVER_THERE = 900_001
ACTIONS = st.sampled_from(("added", "updated", "updated", "deleted", "merged"))
TYPES = {"contacts": "contact", "incidents": "ticket"}
Forge = Callable[[Announcer, int, str], tuple[bytes, str]]


def _with(**members: Any) -> Forge:
    """Return the forger of a body that is well signed and says something else of itself."""

    def forge(announcer: Announcer, record_id: int, action: str) -> tuple[bytes, str]:
        body = announcer.body(record_id, action, **members)
        return body, signature_of(body)

    return forge


def _by_another_key(announcer: Announcer, record_id: int, action: str) -> tuple[bytes, str]:
    body = announcer.body(record_id, action)
    return body, signature_of(body, "another")


def _altered(announcer: Announcer, record_id: int, action: str) -> tuple[bytes, str]:
    body = announcer.body(record_id, action)
    return json.dumps(json.loads(body), indent=1).encode(), signature_of(body)


FORGERIES: dict[str, Forge] = {
    "another key": _by_another_key,
    "re-serialised": _altered,
    "another company": _with(CompanyId="mallory"),
    "nobody's registration": _with(CallbackObjectRecId=999),
    "another type": _with(Type="company"),
    "a key of another host": _with(Metadata={"key_url": "https://evil.example/system/callbackkey/index.rails"}),
    "a record that is none": _with(ID=POISON),
}


def run_loop(states: QuerySet[PollState], kinds: tuple[Due, ...]) -> None:
    """Run what is due as the workers do, but for what is registered at ConnectWise: that stands as it was made."""
    PollLoop(states, deadline=float("inf"), kinds=kinds, first=[judge_hints], sources=[claim_announced]).run()


class CallbackRules(RuleBasedStateMachine):
    """What may happen with callbacks; the machine has the rest."""

    _store: Store
    _truth: Truth
    _rules: Rules
    _instance: Instance
    _list: str
    _field: str

    def __init__(self) -> None:
        super().__init__()
        self._held_back: list[tuple[bytes, str]] = []

    # What the machine has.
    def _alter(self, pick: int, fields: dict[str, Any], late: int) -> list[int]: ...  # type: ignore[empty-body]
    def _recorded(self) -> dict[int, list[RecordedEvent]]: ...  # type: ignore[empty-body]
    def create(self, late: int) -> None: ...
    def delete(self, pick: int) -> None: ...
    def pass_time(self, seconds: float) -> None: ...

    def _switch_callbacks_on(self) -> None:
        self._announcer = enable_callbacks(self._instance, type_=TYPES[self._list])
        self._instance.refresh_from_db()

    # -- ConnectWise announces -------------------------------------------------------------------------------------

    def _send(self, record_id: int, action: str, *, times: int = 1) -> None:
        body = self._announcer.body(record_id, action)
        for _ in range(times):
            self._post(body, signature_of(body))

    def _post(self, body: bytes, signature: str) -> None:
        keep_key(self._announcer.key_url, SIGNING_KEY)
        assert take(self._announcer.token, body, signature, timezone.now()) == Taken.STORED

    @rule(
        how=st.sampled_from(("sent", "sent", "doubled", "held back", "early")),
        act=st.sampled_from(("create", "change", "touch", "delete", "delete", "in silence", "in silence")),
        pick=PICKS,
        late=st.sampled_from((0, 0, 1, 150)),
        works=st.booleans(),
    )
    def write_and_announce(self, how: str, act: str, pick: int, late: int, *, works: bool) -> None:
        """A callback of its own for one write; early ones come, and maybe are acted on, before it can be read."""
        ids = self._store.ids(self._list)
        record_id = self._next_id() if act == "create" or not ids else ids[-1 - pick % len(ids)]
        action = {"create": "added", "delete": "deleted"}.get(act, "updated")
        if how == "early":
            self._send(record_id, action)
            if works:
                self.work(3)
        self._write(act, pick, late)
        if how == "held back":
            body = self._announcer.body(record_id, action)
            self._held_back.append((body, signature_of(body)))
        elif how != "early":
            self._send(record_id, action, times=2 if how == "doubled" else 1)
        if works:
            self.work(3)

    def _announce_early(self) -> None:
        """All that may be written next is announced, and its woken poll made, before it is written."""
        for record_id in (*self._store.ids(self._list), self._next_id()):
            self._send(record_id, "updated")
        self.work(0)

    def _next_id(self) -> int:
        return max(self._truth.histories, default=0) + 1

    def _write(self, act: str, pick: int, late: int) -> None:
        if act == "create":
            self.create(late)
        elif act == "delete":
            self.delete(pick)
        elif act == "in silence":
            self.change_in_silence(pick, "Quiet")
        else:
            self._alter(pick, {self._field: "Loud"} if act == "change" else {}, late)

    @rule(pick=PICKS, title=st.sampled_from(("Quiet", "Still")))
    def change_in_silence(self, pick: int, title: str) -> None:
        """The record's stamp stands still, as for a note beneath a ticket; nobody announces it."""
        ids = self._store.ids(self._list)
        if ids:
            record_id = ids[-1 - pick % len(ids)]
            record = self._store.get(self._list, record_id)
            assert record is not None
            stamp = datetime.fromisoformat(record["_info"]["lastUpdated"])
            self._store.change(self._list, record_id, {self._field: title}, stamp=stamp)
            self._truth.observe()

    @precondition(lambda self: self._held_back)
    @rule(backwards=st.booleans(), count=st.integers(1, 4))
    def send_what_was_held_back(self, count: int, *, backwards: bool) -> None:
        """Late, in whichever order: what they announce may be read, changed again or gone since."""
        now, self._held_back = self._held_back[:count], self._held_back[count:]
        for body, signature in reversed(now) if backwards else now:
            self._post(body, signature)

    @rule(pick=PICKS, action=ACTIONS, known=st.booleans())
    def announce_what_is_not_so(self, pick: int, action: str, *, known: bool) -> None:
        """Of a record that is there, gone, hidden, or that never was; well signed."""
        ids = sorted(self._truth.histories)
        self._send(ids[-1 - pick % len(ids)] if known else NEVER_THERE + pick, action)

    @rule(pick=PICKS, action=ACTIONS, forgery=st.sampled_from(sorted(FORGERIES)))
    def forge(self, pick: int, action: str, forgery: str) -> None:
        """It is taken, and has no effect."""
        judge_hints(0, [])
        before = self._effects()
        ids = sorted(self._truth.histories)
        self._post(*FORGERIES[forgery](self._announcer, ids[-1 - pick % len(ids)], action))
        judge_hints(0, [])
        assert CallbackHint.objects.latest("pk").status == CallbackHint.Status.REFUSED
        assert self._effects() == before

    @staticmethod
    def _effects() -> tuple[list[Any], ...]:
        due = PollState.objects.order_by("pk").values_list("pk", "next_poll_at", "next_sweep_at", "woken_at")
        return list(due), list(AnnouncedRecord.objects.order_by("pk").values_list())

    # -- the workers -----------------------------------------------------------------------------------------------

    @rule(then=st.sampled_from((0, 0, 3, 11)))
    def work(self, then: int) -> None:
        """All that is due, as the workers do it, and what is due some seconds later."""
        self._look()
        if then:
            self.pass_time(then)
            self._look()

    @staticmethod
    def _look() -> None:
        run_loop(PollState.objects.all(), POLLS_AND_SWEEPS)

    # -- the promise -----------------------------------------------------------------------------------------------

    def _announce(self, *, deletes: bool) -> None:
        """After a good poll, with nothing in the way: what is announced now is recorded, by its poll or by its id."""
        announced = {number: state for number, state in self._truth.now().items() if (state is None) == deletes}
        for record_id in announced:
            self._send(record_id, "deleted" if deletes else "updated")
        self.work(3)
        if deletes:
            self.work(4)
        self._truth.check_announced(self._recorded(), self._rules, announced)

    @staticmethod
    def _check_no_body_was_recorded() -> None:
        """Nothing that a callback said is anywhere but in its hint."""
        for rows in (Event.objects.values_list("record", "changes", "object_id"), SnapshotBody.objects.values_list()):
            assert not any(POISON in str(row) for row in rows)
        assert not any(POISON in str(body) for body in Notification.objects.values_list("body", flat=True))
