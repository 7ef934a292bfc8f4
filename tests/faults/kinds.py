"""The sorts of faults, and which of them a world can suffer."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.harm import (
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
from tests.faults.storage import Embedded, Servers
from tests.faults.world import FIRST_FIVE_RETRIES, World


@dataclass(frozen=True)
class Kind:
    """A sort of fault; `quick` if all is well again within seconds of its end."""

    name: str
    begin: Begin
    quick: bool = True


def _sandbox_port(world: World) -> int:
    return world.sandbox_port


def _receiver_port(world: World) -> int:
    return world.receiver_port


def _database_port(world: World) -> int:
    assert isinstance(world.storage, Servers)
    return world.storage.database_port


def _redis_port(world: World) -> int:
    assert isinstance(world.storage, Servers)
    return world.storage.redis_port


_PAGE = "<html><body>Scheduled maintenance</body></html>"
_SOON = {"Retry-After": "4"}
EVERYWHERE = (
    Kind("web: worker killed", kill("gunicorn")),
    Kind("up killed", kill("cwconnect.follow up")),
    Kind("supervisor killed", kill("cwconnect.follow work")),
    Kind("cluster process killed", kill("polling.cluster")),
    Kind("any process killed", kill("")),
    Kind("cluster process frozen", freeze("polling.cluster", 40), quick=False),
    Kind("any process frozen", freeze("", 40), quick=False),
    Kind("ConnectWise killed", outage("connectwise", _sandbox_port, longest=12)),
    Kind("ConnectWise frozen", freeze_kept("connectwise", 30), quick=False),
    Kind("ConnectWise answers 500", spoil(20, status=500)),
    Kind("ConnectWise limits the rate", spoil(6, status=429, headers=_SOON)),
    Kind("ConnectWise is slow", spoil(6, delay=8)),
    Kind("ConnectWise sends half of its JSON", spoil(12, broken_json=True)),
    Kind("ConnectWise sends a page", spoil(12, status=200, body=_PAGE)),
    Kind("ConnectWise sends an object", spoil(12, status=200, body={"code": "Odd"})),
    Kind("ConnectWise hangs up half-way", spoil(12, drop="midway")),
    Kind("ConnectWise's clock is off", move_clock),
    Kind("receiver killed", outage("receiver", _receiver_port, longest=2)),
    Kind(
        "receiver down for longer than five retries",
        outage("receiver", _receiver_port, shortest=FIRST_FIVE_RETRIES, longest=35),
        quick=False,
    ),
    Kind("receiver frozen", freeze_kept("receiver", 25), quick=False),
    Kind("receiver answers 500", misbehave("500", 10)),
    Kind("receiver takes and does not answer", misbehave("mute", 6)),
)
ON_SERVERS = (
    Kind("PostgreSQL restarted", restart_postgresql),
    Kind("PostgreSQL killed", outage("postgresql", _database_port, longest=6)),
    Kind("PostgreSQL backend killed", kill_backend),
    Kind("PostgreSQL frozen", freeze_kept("postgresql", 25), quick=False),
    Kind("Redis flushed", flush_redis),
    Kind("Redis killed", outage("redis", _redis_port, longest=6)),
    Kind("Redis frozen", freeze_kept("redis", 25), quick=False),
)
ON_DISK = (Kind("disk full", fill_disk), Kind("SQLite locked by another", lock_database, quick=False))


def kinds_for(world: World, *, quick: bool = False) -> list[Kind]:
    """Give the faults that this world can suffer."""
    chosen = [*EVERYWHERE]
    if isinstance(world.storage, Embedded):
        chosen += [kind for kind in ON_DISK if world.storage.own_disk or kind.begin is not fill_disk]
    else:
        chosen += ON_SERVERS
    return [kind for kind in chosen if kind.quick or not quick]
