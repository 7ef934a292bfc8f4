"""Sends what one company's registrations are to hear: repeats by the vendor's rules, and counts what becomes of it."""

from __future__ import annotations

import threading
import zlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from cwconnect.sandbox.callbacks.connections import Connections, NoAnswerError
from cwconnect.sandbox.callbacks.host import Host
from cwconnect.sandbox.callbacks.lanes import Job
from cwconnect.sandbox.callbacks.messages import Notice, build, new_message_id

REPEATED = (404, 409, 419, 429)
"""The answers after which a callback is sent again; after any other that is no 2xx it is lost."""
_LOG_LENGTH = 10_000
Outcome = Literal["delivered", "repeated", "lost", "dropped", "overflowed"]


@dataclass
class Settings:
    """How callbacks are sent. Times are in seconds."""

    timeout: float = 5.0
    repeat_after: Sequence[float] = (2.0, 4.0)
    switch_off_after: int | None = None
    """The callbacks lost in a row after which a registration is switched off; None for never."""
    most_waiting: int = 10_000
    via: str | None = None
    """The origin to connect to in place of the one registered: what stands behind the proxy of that name."""
    site: str | None = None
    """The origin that `key_url` and `FromUrl` name, if not the one by which the registration was made."""
    hold: bool = False
    """Whether callbacks are held for `take_held` in place of being sent."""
    key_needs_login: bool = False
    fresh_message_ids: bool = False
    """Whether each repeat has a `MessageId` of its own."""
    poison: bool = False
    """Whether every body is poisoned, whatever else goes wrong with it."""


@dataclass(frozen=True)
class Attempt:
    """One try to send a callback. `status` is the receiver's answer, 0 where there was none."""

    entry_id: int
    kind: str
    action: str
    record_id: int
    message_id: str
    number: int
    status: int
    outcome: Outcome


class Sender:
    """Takes notices and sends them in threads of its own. `switch_off` is called with a registration that failed."""

    def __init__(self, settings: Settings, host: Host, company: str, switch_off: Callable[[int], None]) -> None:
        self.settings = settings
        self.attempts: deque[Attempt] = deque(maxlen=_LOG_LENGTH)
        self.counts: Counter[str] = Counter()
        self._host = host
        self._lane = zlib.crc32(company.encode())
        self._switch_off = switch_off
        self._failures: Counter[int] = Counter()
        self._held: list[Notice] = []
        self._lock = threading.Lock()

    def send(self, notice: Notice, delay: float = 0.0, *, held: bool | None = None) -> None:
        """Send a notice in so many seconds, or hold it (as `settings` say); where too much waits it is lost."""
        if self.settings.hold if held is None else held:
            self._held.append(notice)
        elif len(self._host.lanes) >= self.settings.most_waiting:
            self._note(notice, 0, 0, "overflowed")
        else:
            self.later(notice.entry_id, partial(self._try, notice=notice, number=0), delay)

    def later(self, entry_id: int, job: Job, delay: float) -> None:
        """Run a job in so many seconds, in turn with all others of the registration."""
        self._host.lanes.add(self._lane + entry_id, job, delay)

    def drop(self, notice: Notice) -> None:
        """Note a notice that is not sent, on order."""
        self._note(notice, 0, 0, "dropped")

    def clear_held(self) -> list[Notice]:
        """Return what was held, in the order of the changes, and hold it no longer."""
        held, self._held = self._held, []
        return held

    def forget_failures(self, entry_id: int) -> None:
        """Count a registration's failures anew."""
        with self._lock:
            self._failures.pop(entry_id, None)

    def _try(self, connections: Connections, notice: Notice, number: int) -> None:
        if number and self.settings.fresh_message_ids:
            notice = replace(notice, message_id=new_message_id())
        try:
            status = connections.post(
                build(notice, self._host.keyring),
                seconds=self.settings.timeout,
                via=self.settings.via,
                close=notice.fault.close,
            )
        except NoAnswerError:
            status = 0
        self._after(notice, number, status)

    def _after(self, notice: Notice, number: int, status: int) -> None:
        waits = self.settings.repeat_after
        if 200 <= status < 300:
            self._note(notice, number, status, "delivered")
            self.forget_failures(notice.entry_id)
        elif status in REPEATED and number < len(waits):
            self._note(notice, number, status, "repeated")
            self.later(notice.entry_id, partial(self._try, notice=notice, number=number + 1), waits[number])
        else:
            self._note(notice, number, status, "lost")
            self._count_failure(notice.entry_id)

    def _count_failure(self, entry_id: int) -> None:
        with self._lock:
            self._failures[entry_id] += 1
            failed, limit = self._failures[entry_id], self.settings.switch_off_after
        if limit is not None and failed >= limit:
            self._switch_off(entry_id)

    def _note(self, notice: Notice, number: int, status: int, outcome: Outcome) -> None:
        made = Attempt(
            notice.entry_id,
            notice.kind,
            notice.action,
            notice.record_id,
            notice.message_id,
            number,
            status,
            outcome,
        )
        with self._lock:
            self.attempts.append(made)
            self.counts[outcome] += 1
