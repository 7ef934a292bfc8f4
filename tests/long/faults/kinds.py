"""The sorts of faults, and which of them a world can suffer."""

from __future__ import annotations

from dataclasses import dataclass

from tests.long.faults.besieged_service import FIRST_FIVE_RETRIES, BesiegedService
from tests.long.faults.courses import (
    Begin,
    fill_disk,
    flush_redis,
    freeze,
    freeze_kept,
    kill,
    kill_backend,
    lock_database,
    misbehave,
    move_clock,
    outage,
    restart_postgresql,
    spoil,
)
from tests.long.faults.storage import Embedded, Servers


@dataclass(frozen=True)
class Kind:
    """A sort of fault; a `brief` one belongs to the short siege too: one of each family, soon over.

    A `lasting` one goes on for longer than a burst, and so comes first in it.
    """

    name: str
    begin: Begin
    brief: bool = False
    lasting: bool = False


def _sandbox_port(world: BesiegedService) -> int:
    return world.sandbox_port


def _receiver_port(world: BesiegedService) -> int:
    return world.receiver_port


def _database_port(world: BesiegedService) -> int:
    assert isinstance(world.storage, Servers)
    return world.storage.database_port


def _redis_port(world: BesiegedService) -> int:
    assert isinstance(world.storage, Servers)
    return world.storage.redis_port


_PAGE = "<html><body>Scheduled maintenance</body></html>"
_SOON = {"Retry-After": "4"}
EVERYWHERE = (
    Kind("web: worker killed", kill("gunicorn")),
    Kind("up killed", kill("cwconnect.core.run_with_parent up")),
    Kind("supervisor killed", kill("cwconnect.core.run_with_parent work"), brief=True),
    Kind("cluster process killed", kill("polling.workers.cluster"), brief=True),
    Kind("any process killed", kill("")),
    Kind(
        "cluster process frozen for a minute", freeze("polling.workers.cluster", shortest=60, longest=60), lasting=True
    ),
    Kind("any process frozen for a minute", freeze("", shortest=60, longest=60), lasting=True),
    Kind("any process frozen", freeze("", shortest=5, longest=25)),
    Kind("ConnectWise killed", outage("connectwise", _sandbox_port, longest=12), brief=True),
    Kind("ConnectWise frozen", freeze_kept("connectwise", 30)),
    Kind("ConnectWise answers 500", spoil(20, status=500)),
    Kind("ConnectWise limits the rate", spoil(6, status=429, headers=_SOON)),
    Kind("ConnectWise is slow", spoil(6, delay=8)),
    Kind("ConnectWise sends half of its JSON", spoil(12, broken_json=True), brief=True),
    Kind("ConnectWise sends a page", spoil(12, status=200, body=_PAGE)),
    Kind("ConnectWise sends an object", spoil(12, status=200, body={"code": "Odd"})),
    Kind("ConnectWise nests 10,000 lists", spoil(12, status=200, body="[" * 10_000 + "]" * 10_000)),
    Kind("ConnectWise hangs up half-way", spoil(12, drop="midway")),
    Kind("ConnectWise's clock is off", move_clock),
    Kind("receiver killed", outage("receiver", _receiver_port, longest=2), brief=True),
    Kind(
        "receiver down for longer than five retries",
        outage("receiver", _receiver_port, shortest=FIRST_FIVE_RETRIES, longest=28),
    ),
    Kind("receiver frozen", freeze_kept("receiver", 25)),
    Kind("receiver answers 500", misbehave("500", 10)),
    Kind("receiver takes and does not answer", misbehave("mute", 6), brief=True),
)
ON_SERVERS = (
    Kind("PostgreSQL restarted", restart_postgresql),
    Kind("PostgreSQL killed", outage("postgresql", _database_port, longest=6), brief=True),
    Kind("PostgreSQL backend killed", kill_backend),
    Kind("PostgreSQL frozen", freeze_kept("postgresql", 25)),
    Kind("Redis flushed", flush_redis, brief=True),
    Kind("Redis killed", outage("redis", _redis_port, longest=6)),
    Kind("Redis frozen", freeze_kept("redis", 25)),
)
ON_DISK = (Kind("disk full", fill_disk, brief=True), Kind("SQLite locked by another", lock_database))


def kinds_for(world: BesiegedService, *, brief: bool = False) -> list[Kind]:
    """Return the faults that this world can suffer."""
    chosen = [*EVERYWHERE]
    if isinstance(world.storage, Embedded):
        chosen += [kind for kind in ON_DISK if world.storage.own_disk or kind.begin is not fill_disk]
    else:
        chosen += ON_SERVERS
    return [kind for kind in chosen if kind.brief or not brief]
