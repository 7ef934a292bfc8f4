"""Claims of due polls: which, by how many may run at a company and a host, and their lease, in one statement.

Chosen by one statement and claimed by the next, all workers would choose the same, the longest due, and all but one
would go away empty: the more of them there are, and the farther the database, the less each would do. Here a worker
locks what it looks at, for as long as its statement takes, and another looks beyond that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db import connection

from cwconnect.core.bulk_sql import db_timestamp
from cwconnect.core.statements import Condition, rows_of
from polling.detection.jobs import LEASE, Work
from polling.workers.due import NO_SWEEP
from polling.workers.leases import new_token

Due = Literal["next_poll_at", "next_sweep_at"]

PER_SITE = 3
PER_HOST = 16
LOOKED_AT = 4  # times as many as are wanted, since not all may have room
_CLAIM = """WITH due (id, site, host, at) AS MATERIALIZED (
    SELECT resource_poll_id, site, host, {kind} FROM polling_pollstate
    WHERE {kind} <= %s AND (lease_until IS NULL OR lease_until < %s)
        AND site NOT IN (SELECT key FROM polling_site WHERE blocked_until > %s){allowed}
    ORDER BY {kind} LIMIT %s{lock}
), by_site AS (
    SELECT id, site, host, at, row_number() OVER (PARTITION BY site ORDER BY at, id) AS place FROM due
), by_host AS (
    SELECT id, at, host, row_number() OVER (PARTITION BY host ORDER BY at, id) AS place
    FROM by_site WHERE place <= {site_room}
), chosen AS MATERIALIZED (SELECT id FROM by_host WHERE place <= {host_room} ORDER BY at, id LIMIT %s)
UPDATE polling_pollstate SET lease_token = %s, lease_until = %s WHERE resource_poll_id IN (SELECT id FROM chosen)
RETURNING resource_poll_id, (SELECT count(*) FROM due)
"""
_LOCK = {"postgresql": " FOR UPDATE OF polling_pollstate SKIP LOCKED", "sqlite": ""}


@dataclass(frozen=True)
class Claim:
    """What was claimed; `drained`: no other was due, whoever has room."""

    token: str
    keys: list[int]
    drained: bool


def with_room(
    rows: Iterable[tuple[int, str, str]],
    capacity: int,
    running: Collection[Work],
    *,
    alone: type[Work] | None = None,
) -> list[int]:
    """Return the keys of those rows (key, company, host) that have room beside those `running`, the first first.

    Jobs of the kind `alone` leave no room for another of their company.
    """
    sites, hosts = Counter(job.site for job in running), Counter(job.host for job in running)
    if alone is not None:
        sites.update({job.site: PER_SITE for job in running if isinstance(job, alone)})
    chosen: list[int] = []
    for key, site, host in rows:
        if len(chosen) < capacity and sites[site] < PER_SITE and hosts[host] < PER_HOST:
            chosen.append(key)
            sites[site] += 1 if alone is None else PER_SITE
            hosts[host] += 1
    return chosen


def claim_due(
    among: Condition,
    kind: Due,
    capacity: int,
    running: Collection[Work],
    *,
    now: datetime,
    slow: Collection[str] = (),
) -> Claim:
    """Claim up to `capacity` of the polls that have room beside those `running`, by the due time `kind`.

    `among` is what else is asked of a poll's state; none is claimed of the `slow` companies.
    """
    sites, hosts = Counter(job.site for job in running), Counter(job.host for job in running)
    full_sites = list({*slow, *(site for site, count in sites.items() if count >= PER_SITE)})
    full_hosts = [host for host, count in hosts.items() if count >= PER_HOST]
    unable = NO_SWEEP if kind == "next_sweep_at" else ()
    allowed = [among, _none_of("health", unable), _none_of("site", full_sites), _none_of("host", full_hosts)]
    (site_room, of_sites), (host_room, of_hosts) = _room("site", sites, PER_SITE), _room("host", hosts, PER_HOST)
    statement = _CLAIM.format(
        kind=kind,
        allowed="".join(condition for condition, _ in allowed),
        lock=_LOCK[connection.vendor],
        site_room=site_room,
        host_room=host_room,
    )
    at, token, most = db_timestamp(now), new_token(), LOOKED_AT * capacity
    of_allowed = [value for _, values in allowed for value in values]
    of_claim = [capacity, token, db_timestamp(now + LEASE)]
    found = rows_of(statement, [at, at, at, *of_allowed, most, *of_sites, *of_hosts, *of_claim]) if most > 0 else []
    seen = found[0][1] if found else 0
    drained = len(found) == seen < most and not (full_sites or full_hosts)
    return Claim(token, [key for key, _ in found], drained)


def _none_of(column: str, values: Sequence[Any]) -> Condition:
    """Return the condition that a column holds none of these, to stand behind others: none of nothing costs nothing."""
    return (f" AND {column} NOT IN ({', '.join(['%s'] * len(values))})", tuple(values)) if values else ("", ())


def _room(column: str, running: Mapping[str, int], most: int) -> tuple[str, list[Any]]:
    """Return the expression of how many more may run at a row's site or host, and its parameters."""
    if not running:
        return str(most), []
    cases = "WHEN %s THEN %s " * len(running)
    given = [value for name, count in running.items() for value in (name, most - count)]
    return f"CASE {column} {cases}ELSE {most} END", given
