"""Calls to the outside that somebody waits for: creations, tests, counts, live reads, test notifications.

A thread of the web waits for each, and what is at the other end is a tenant's own choice. So a request has one short
time for all that it asks outside, an organization may have few such requests under way, and a web process fewer than it
has threads: what hangs holds nobody else up. Each web process counts by itself, and each keeps threads free.

Every outgoing request passes here (connections.py): in a web request it must be made within `interactive`; the workers
and commands, for which nobody waits, make theirs outside of any.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, replace
from typing import TypeVar

from django.conf import settings

from cwconnect.core.errors import DomainError
from cwconnect.core.request_ids import is_answering
from cwconnect.outbound import Limits, TimedOut

SECONDS = 15.0  # for all that one request asks outside; a receiver has as long by the contract
MOST_OF_AN_ORGANIZATION = 2
MOST_IN_ALL = settings.WEB_THREADS // 2
LONGEST_ANSWER = 16 * 1024 * 1024  # bytes; a page of 1,000 large records has 5 MB
ENOUGH_TO_ASK = 3.0  # seconds
RETRY_AFTER = 2  # seconds; most calls take less, and to refuse one costs little

Item = TypeVar("Item")
Result = TypeVar("Result")


class TooManyCallsError(DomainError):  # not a fault: an answer
    """Too much is asked outside at once."""

    status = 429
    retry_after = RETRY_AFTER


class UnboundedCallError(RuntimeError):
    """A web request asked outside without a bound: a fault of ours, found by whatever test comes by."""


@dataclass
class _Scope:
    """One request's calls; it has a place, and its time runs, from the first of them on."""

    organization: int | None
    deadline: float | None = None
    refusal: str = ""


_lock = threading.Lock()
_under_way: Counter[int | None] = Counter()
_current: ContextVar[_Scope | None] = ContextVar("interactive_calls", default=None)


@contextmanager
def interactive(organization: int | None) -> Iterator[None]:
    """Let the block ask outside on an organization's behalf (its id); one within another shares its place and time.

    Whatever asks raises TooManyCallsError where no place is left. A block that asks nothing takes none.
    """
    if _current.get() is not None:
        yield
        return
    scope = _Scope(organization)
    token = _current.set(scope)
    try:
        yield
    finally:
        _current.reset(token)
        with _lock:
            if scope.deadline is not None:
                _under_way[organization] -= 1
                if not _under_way[organization]:
                    del _under_way[organization]


@contextmanager
def asking_nothing(refusal: str) -> Iterator[None]:
    """Have every call to the outside within the block refused, by a DomainError in these words, before it is made."""
    token = _current.set(_Scope(None, refusal=refusal))
    try:
        yield
    finally:
        _current.reset(token)


def bounded(limits: Limits) -> Limits:
    """Return the limits of one outgoing request: what is left of its scope's time, or as they are without a scope.

    Raises TooManyCallsError, TimedOut when the time is used up, and UnboundedCallError in a web request without scope.
    """
    scope = _current.get()
    if scope is None:
        if is_answering():
            raise UnboundedCallError("A web request asks outside, and no `interactive` block bounds it.")
        return limits
    if scope.refusal:
        raise DomainError(scope.refusal)
    left = _seconds_left(scope)
    if left <= 0:
        raise TimedOut(f"Not all was answered within {SECONDS:g} s.")
    return replace(
        limits,
        connect=min(limits.connect, left),
        read=min(limits.read, left),
        total=min(limits.total, left),
        body=min(limits.body, LONGEST_ANSWER),
    )


def wait(seconds: float) -> bool:
    """Wait within what is left of the scope's time, with enough of it left to ask again; False, at once, without it."""
    scope = _current.get()
    if scope is None or scope.deadline is None or seconds + ENOUGH_TO_ASK > scope.deadline - time.monotonic():
        return False
    time.sleep(seconds)
    return True


def side_by_side(act: Callable[[Item], Result], items: Iterable[Item], at_a_time: int) -> list[Result]:
    """Return `act` of each item, some at a time in threads that share the caller's scope; they may touch no database.

    Raises what the first item in their order raises; what was not begun by then is left: refused keys ask no more.
    """
    failed = threading.Event()  # set by the thread that fails, before it or another takes the next item

    def act_unless_failed(item: Item) -> Result:
        if failed.is_set():
            raise CancelledError
        try:
            return act(item)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(at_a_time) as threads:
        ended = [threads.submit(copy_context().run, act_unless_failed, item) for item in items]
    faults = [fault for future in ended if (fault := future.exception()) and not isinstance(fault, CancelledError)]
    if faults:
        raise faults[0]
    return [future.result() for future in ended]


def _seconds_left(scope: _Scope) -> float:
    with _lock:
        if scope.deadline is None:
            _take_place(scope.organization)
            scope.deadline = time.monotonic() + SECONDS
        return scope.deadline - time.monotonic()


def _take_place(organization: int | None) -> None:
    if _under_way[organization] >= MOST_OF_AN_ORGANIZATION:
        raise TooManyCallsError(
            f"{MOST_OF_AN_ORGANIZATION} requests of this organization wait for ConnectWise or a receiver already. "
            "Try again in a moment."
        )
    if _under_way.total() >= MOST_IN_ALL:
        raise TooManyCallsError("Too many requests wait for ConnectWise or a receiver just now. Try again in a moment.")
    _under_way[organization] += 1
