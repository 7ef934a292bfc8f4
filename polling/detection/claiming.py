"""Claims of due polls: which, by how many may run at a company and a host, and their lease, in one statement.

Chosen by one statement and claimed by the next, all workers would choose the same, the longest due, and all but one
would go away empty: the more of them there are, and the farther the database, the less each would do. Here a worker
locks what it looks at, for as long as its statement takes, and another looks beyond that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Q, QuerySet

from polling.detection.jobs import LEASE, Work
from polling.models import PollState, Site
from polling.workers.leases import free, new_token

PER_SITE = 3
PER_HOST = 16
LOOKED_AT = 4  # times as many as are wanted, since not all may have room
_CLAIM = """WITH due (id, site, host, at) AS MATERIALIZED ({due}),
by_site AS (
    SELECT id, site, host, at, row_number() OVER (PARTITION BY site ORDER BY at, id) AS place FROM due
), by_host AS (
    SELECT id, at, host, row_number() OVER (PARTITION BY host ORDER BY at, id) AS place
    FROM by_site WHERE place <= {site_room}
), chosen AS MATERIALIZED (SELECT id FROM by_host WHERE place <= {host_room} ORDER BY at, id LIMIT %s)
UPDATE {table} SET lease_token = %s, lease_until = %s WHERE resource_poll_id IN (SELECT id FROM chosen)
RETURNING resource_poll_id, (SELECT count(*) FROM due)
"""


@dataclass(frozen=True)
class Claim:
    """What was claimed; `drained`: no other was due, whoever has room."""

    token: str
    keys: list[int]
    drained: bool


def claim_due(due: QuerySet[PollState], kind: str, capacity: int, running: Collection[Work], *, now: datetime) -> Claim:
    """Claim up to `capacity` of the polls in `due` that have room beside those `running`, by the due time `kind`."""
    sites, hosts = Counter(job.site for job in running), Counter(job.host for job in running)
    full_sites = [site for site, count in sites.items() if count >= PER_SITE]
    full_hosts = [host for host, count in hosts.items() if count >= PER_HOST]
    # One condition, and none of nothing: each costs as much as a poll's share of the claim.
    allowed = free(now) & ~Q(site__in=Site.objects.filter(blocked_until__gt=now).values("key"))
    for column, full in (("site", full_sites), ("host", full_hosts)):
        if full:
            allowed &= ~Q(**{f"{column}__in": full})
    first = due.filter(allowed).order_by(kind).values_list("pk", "site", "host", kind)[: LOOKED_AT * capacity]
    token = new_token()
    found = _execute(first, sites, hosts, [capacity, token, now + LEASE]) if capacity > 0 else []
    seen = found[0][1] if found else 0
    drained = len(found) == seen < LOOKED_AT * capacity and not (full_sites or full_hosts)
    return Claim(token, [key for key, _ in found], drained)


def _execute(
    first: QuerySet[PollState, Any], sites: Mapping[str, int], hosts: Mapping[str, int], rest: list[Any]
) -> list[tuple[int, int]]:
    """Claim among these; return the keys claimed, each with how many were looked at."""
    try:
        looked_at, parameters = first.query.sql_with_params()
    except EmptyResultSet:
        return []
    table = connection.ops.quote_name(PollState._meta.db_table)  # noqa: SLF001  (documented: Django's model API)
    if connection.features.has_select_for_update_skip_locked:
        looked_at += f" FOR UPDATE OF {table} SKIP LOCKED"
    site_room, of_sites = _room("site", sites, PER_SITE)
    host_room, of_hosts = _room("host", hosts, PER_HOST)
    statement = _CLAIM.format(due=looked_at, site_room=site_room, host_room=host_room, table=table)
    capacity, token, until = rest
    written = PollState._meta.get_field("lease_until").get_db_prep_save(until, connection)  # noqa: SLF001  (as above)
    with connection.cursor() as cursor:
        cursor.execute(statement, [*parameters, *of_sites, *of_hosts, capacity, token, written])
        return list(cursor.fetchall())


def _room(column: str, running: Mapping[str, int], most: int) -> tuple[str, list[Any]]:
    """Return the expression of how many more may run at a row's site or host, and its parameters."""
    if not running:
        return str(most), []
    cases = "WHEN %s THEN %s " * len(running)
    given = [value for name, count in running.items() for value in (name, most - count)]
    return f"CASE {column} {cases}ELSE {most} END", given
