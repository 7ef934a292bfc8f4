"""The courses that faults take. Each is a generator: it yields the seconds until it goes on, and returns how it hit.

An empty proof means that it did not hit (the process it was meant for was not there, say). Whatever it broke for a
while it mends when it is closed, whenever that is.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress

from tests.long.faults.besieged_service import BesiegedService
from tests.long.faults.kept_processes import Kept, children, gone, state
from tests.long.faults.ports import accepts
from tests.long.faults.storage import Embedded, Servers
from tests.support.services import Seen

Course = Generator[float, None, str]
Begin = Callable[[BesiegedService, random.Random], Course]
Port = Callable[[BesiegedService], int]
_ORDERED_SECONDS, _WAITED_SECONDS = 10, 25
_CLOCK_SECONDS = 150  # with the wait for a dead ConnectWise still within the poller's look-back of 300


def _kill(victims: list[Seen], chance: random.Random) -> Course:
    if not victims:
        return ""
    victim = chance.choice(victims)
    _signal(victim.pid, signal.SIGKILL)
    for _ in range(20):
        yield 0.1
        if gone(victim.pid):
            return f"pid {victim.pid} is gone: {victim.command[-60:]}"
    return ""


def kill(part: str) -> Begin:
    """SIGKILL one process of the service, by a part of its command."""

    def begin(world: BesiegedService, chance: random.Random) -> Course:
        return (yield from _kill(world.service(part), chance))

    return begin


def freeze(part: str, *, shortest: float, longest: float) -> Begin:
    """SIGSTOP one process of the service."""

    def begin(world: BesiegedService, chance: random.Random) -> Course:
        victims = world.service(part)
        if not victims:
            return ""
        return (yield from _freeze(chance.choice(victims), chance.uniform(shortest, longest)))

    return begin


def _freeze(victim: Seen, seconds: float) -> Course:
    try:
        _signal(victim.pid, signal.SIGSTOP)
        yield 0.3
        stopped = state(victim.pid) == "T"
        yield seconds
        return f"pid {victim.pid} was stopped for {seconds:.0f} s: {victim.command[-60:]}" if stopped else ""
    finally:
        _signal(victim.pid, signal.SIGCONT)


def outage(name: str, port: Port, *, shortest: float = 0, longest: float) -> Begin:
    """SIGKILL what is under or beside the service, and leave it away for a while."""

    def begin(world: BesiegedService, chance: random.Random) -> Course:
        seconds = chance.uniform(shortest, longest)
        return (yield from _outage(world.kept[name], port(world), seconds, signal.SIGKILL))

    return begin


def _outage(kept: Kept, port: int, seconds: float, number: int) -> Course:
    kept.hold(seconds)
    pid = kept.signal(number)
    for _ in range(50):
        yield 0.1
        if pid is not None and gone(pid) and not accepts(port):
            yield seconds
            return f"pid {pid} is gone, port {port} refused; away for {seconds:.0f} s"
    return ""


def freeze_kept(name: str, longest: float) -> Begin:
    """SIGSTOP what is under or beside the service, PostgreSQL with all its children."""

    def begin(world: BesiegedService, chance: random.Random) -> Course:
        pid, stopped = world.kept[name].pid, []
        if pid is None:
            return ""
        family = [pid, *(seen.pid for seen in children(pid))]
        seconds = chance.uniform(longest / 4, longest)
        try:
            for member in family:
                _signal(member, signal.SIGSTOP)
            yield 0.3
            stopped = [member for member in family if state(member) == "T"]
            yield seconds
        finally:
            for member in family:
                _signal(member, signal.SIGCONT)
        return f"{len(stopped)} processes of {name} were stopped for {seconds:.0f} s" if pid in stopped else ""

    return begin


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


# -- ConnectWise -----------------------------------------------------------------------------------------------------


def spoil(count: int, **fault: object) -> Begin:
    """Have ConnectWise treat its next requests so; proven by the requests that met it."""

    def begin(world: BesiegedService, chance: random.Random) -> Course:
        number, begun = chance.randint(count // 2, count), time.monotonic()
        order = world.order_fault(number, fault)
        if order is None:
            return ""
        try:
            end = begun + _ORDERED_SECONDS
            while time.monotonic() < end and world.spoilt_requests(order) < number:
                yield 0.5
                if not world.spoilt_requests(order):  # nobody asks just now: what else broke is being mended
                    end = max(end, min(time.monotonic() + 1, begun + _WAITED_SECONDS))
        finally:
            world.end_order(order)
        met = world.spoilt_requests(order)
        return f"{met} requests met it" if met else ""

    return begin


def move_clock(world: BesiegedService, chance: random.Random) -> Course:
    """Have ConnectWise's clock, stamps and `Date` alike, run ahead or behind for a while.

    Not behind the moment when watching began: what ConnectWise itself dates before it is no news to anybody.
    """
    capacity = min(_CLOCK_SECONDS, time.monotonic() - world.watching_since - 10)
    seconds = chance.uniform(30, _CLOCK_SECONDS)
    offset = -min(seconds, capacity) if capacity > 0 and chance.random() < 0.5 else seconds
    try:
        world.source.move_clock(offset)
        yield 1.0
        status, seen = world.ask("GET", "/_sandbox", port=world.sandbox_port)
        moved = status == 200 and abs(seen["settings"]["clock_offset"] - offset) < 1
        yield chance.uniform(3, 15)
        return f"its clock was {offset:+.0f} s off" if moved else ""
    finally:
        world.source.move_clock(0)


# -- the receiver ----------------------------------------------------------------------------------------------------


def misbehave(mode: str, longest: float) -> Begin:
    """Have the receiver answer badly for a while; proven by what it refused, or took without an answer."""

    def begin(world: BesiegedService, chance: random.Random) -> Course:
        before, begun = len(world.taken.arrivals), time.monotonic()
        try:
            world.mode.write_text(mode)
            yield chance.uniform(longest / 4, longest)
            while len(world.taken.arrivals) == before and time.monotonic() < begun + _WAITED_SECONDS:
                yield 0.2  # nobody knocks just now
        finally:
            world.mode.write_text("")
        met = len(world.taken.arrivals) - before
        return f"{met} requests met it" if met else ""

    return begin


# -- what is under the service ---------------------------------------------------------------------------------------


def restart_postgresql(world: BesiegedService, chance: random.Random) -> Course:
    """Shut PostgreSQL down in order, and start it at once or after some seconds."""
    return (
        yield from _outage(world.kept["postgresql"], _servers(world).database_port, chance.uniform(0, 8), signal.SIGINT)
    )


def kill_backend(world: BesiegedService, chance: random.Random) -> Course:
    """SIGKILL one of PostgreSQL's own processes: it throws everybody out and recovers."""
    pid = world.kept["postgresql"].pid
    return (yield from _kill([] if pid is None else children(pid), chance))


def flush_redis(world: BesiegedService, _chance: random.Random) -> Course:
    """Empty Redis."""
    yield 0
    return "FLUSHALL answered OK" if _servers(world).flush_redis() else ""


def fill_disk(world: BesiegedService, chance: random.Random) -> Course:
    """Fill the disk under the database, and keep it full; proven by writes that fail, the harness's and the web's."""
    storage, full, refused = _embedded(world), False, 0
    try:
        for _ in range(chance.randint(6, 15)):
            storage.fill_disk()
            yield 0.5
            storage.fill_disk()  # what was freed meanwhile
            full = full or storage.disk_is_full()
            refused += world.ask("POST", chance.choice(world.polls), {})[0] == 503
            yield 0.5
        return f"a page could not be written, the web could not write {refused} times" if full else ""
    finally:
        storage.ballast.unlink(missing_ok=True)


def lock_database(world: BesiegedService, chance: random.Random) -> Course:
    """Hold SQLite's one write lock for longer than anybody waits for it (20 s)."""
    seconds = chance.uniform(5, 30)
    with closing(sqlite3.connect(_embedded(world).file, timeout=5, isolation_level=None)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:  # locked, or the disk is full
            return ""
        yield seconds
        database.execute("ROLLBACK")
    return f"the write lock was held for {seconds:.0f} s"


def _servers(world: BesiegedService) -> Servers:
    assert isinstance(world.storage, Servers)
    return world.storage


def _embedded(world: BesiegedService) -> Embedded:
    assert isinstance(world.storage, Embedded)
    return world.storage
