"""Is the service well: `/healthz` for the process, `/readyz` for all that it needs, part by part.

`/readyz` answers 503 when a part fails and says which; `?exclude=worker&exclude=poll_lag` looks at all but those, for a
probe that decides about one process and not about the service. The heartbeat URL (cwconnect/site/healthcheck_ping.py)
asks the same.
Answers hold no names of hosts and no messages of drivers, for anybody may ask; the log has them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from cwconnect.core.layout import PROGRAM
from polling.models import Heartbeat
from polling.workers.due import delivery_due_at, poll_due_at
from polling.workers.heartbeats import beat, worker_seen

log = logging.getLogger(__name__)

WORKER_UNSEEN = timedelta(seconds=90)  # it shows life every 10 s; a frozen one is replaced after 45
LONGEST_LAG = timedelta(minutes=5)
WRITTEN_LATELY = timedelta(seconds=15)
PROBE = (Heartbeat.Part.PROBE, "written for /readyz")
_REDIS_SECONDS = 2.0


@dataclass(frozen=True)
class Part:
    """One part of the service: whether it is well, and in words why not."""

    name: str
    ok: bool
    message: str


def healthz(request: HttpRequest) -> JsonResponse:
    """Say that the web process answers; for supervisors that restart what does not."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether the service does its work, part by part: 200, or 503 with the parts that fail.

    Parts named by `exclude`, as /metrics spells them, are not looked at; a name that no part has excludes nothing.
    """
    parts = examine(timezone.now(), excluded=frozenset(request.GET.getlist("exclude")))
    well = all(part.ok for part in parts)
    body = {
        "status": "ok" if well else "failing",
        "failing": [part.name for part in parts if not part.ok],
        "parts": {part.name: {"ok": part.ok, "message": part.message} for part in parts},
    }
    response = JsonResponse(body, status=200 if well else 503)
    response.headers["Cache-Control"] = "no-store"
    return response


def examine(now: datetime, *, excluded: frozenset[str] = frozenset()) -> list[Part]:
    """Look at every part but those whose labels are excluded; a part that can't be looked at is not well."""
    return [_examine(name, look, now) for name, look in _LOOKS.items() if label(name) not in excluded]


def label(part: str) -> str:
    """Return a part's name as /metrics labels it and `exclude` names it."""
    return part.replace(" ", "_")


def _examine(name: str, look: Callable[[datetime], str], now: datetime) -> Part:
    try:
        problem = look(now)
    except (DatabaseError, OSError) as error:
        log.warning("%s can't be examined: %s", name, error)
        problem = "It can't be reached; the log says more." if name in ("database", "broker") else "Not known."
    return Part(name, not problem, problem or "ok")


def _database(now: datetime) -> str:
    """Read, and see that writes are taken: a full disk and a server turned read-only go on answering readers.

    A worker's sign of life, seconds old, shows it at no cost; only without one is a row written, which is that sign for
    whoever asks next.
    """
    if Heartbeat.objects.filter(seen_at__gt=now - WRITTEN_LATELY, seen_at__lte=now).exists():
        return ""
    try:
        beat(*PROBE)
    except DatabaseError as error:
        log.warning("The database can't be written: %s", error)
        return "It can be read and not written; the log says more."
    return ""


def _broker(_now: datetime) -> str:
    if not settings.REDIS_URL:  # the queue is a table: as well as the database is
        Heartbeat.objects.first()
        return ""
    import redis  # an extra: only there where it is used

    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS
        ) as client:
            client.ping()
    except redis.RedisError as error:
        raise ConnectionError(str(error)) from error
    return ""


def _worker(now: datetime) -> str:
    newest = worker_seen()
    if newest is None:
        return f"No worker was ever seen: start {PROGRAM} up, or {PROGRAM} work."
    age = now - newest
    return f"No worker was seen for {age.total_seconds():.0f} s." if age > WORKER_UNSEEN else ""


def _poll_lag(now: datetime) -> str:
    return _late("poll", lag(poll_due_at(now), now))


def _delivery_lag(now: datetime) -> str:
    return _late("delivery", lag(delivery_due_at(now), now))


def lag(due_at: datetime | None, now: datetime) -> timedelta:
    """Return for how long something has been due; nothing if nothing is due."""
    return max(timedelta(), now - due_at) if due_at else timedelta()


def _late(what: str, by: timedelta) -> str:
    return f"A {what} has been due for {by.total_seconds():.0f} s." if by > LONGEST_LAG else ""


_LOOKS: dict[str, Callable[[datetime], str]] = {
    "database": _database,
    "broker": _broker,
    "worker": _worker,
    "poll lag": _poll_lag,
    "delivery lag": _delivery_lag,
}
