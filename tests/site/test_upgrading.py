"""What `upgrade` says of a database, and who counts as an old process."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from cwconnect import __version__
from cwconnect.core.database_lock import hold
from cwconnect.core.upgrades import Rate
from cwconnect.management.commands.upgrade import Command
from cwconnect.site.upgrading import report, running
from cwconnect.site.upgrading.plan import Plan, Step, plan_of
from cwconnect.site.upgrading.running import Running, still_alive
from cwconnect.site.upgrading.wording import sentence_of
from polling.models import Heartbeat
from polling.workers.heartbeats import beat

pytestmark = pytest.mark.django_db

OLD, NEW = Running("a worker", "0.1.0"), Running("a worker", __version__)
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def step(breaks: str = "", **kwargs: Any) -> Step:
    usual = {"rows": 1_000_000, "counted": False, "seconds": 90.0, "pause": 3.0, "space": 5_000_000}
    return Step("polling", "0099_more", "Adds more.", breaks, "", **(usual | kwargs))


def a_plan(*steps: Step, free: int | None = 10**9, fresh: bool = False) -> Plan:
    return Plan(steps, database=2_000_000, free=free, fresh=fresh)


def check(*options: str) -> tuple[int, str]:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("upgrade", "--check", *options, stdout=out)
    return int(str(ended.value.code)), out.getvalue()


@pytest.mark.parametrize(
    ("plan", "alive", "code"),
    [
        (a_plan(), [OLD], report.UP_TO_DATE),
        (a_plan(step()), [OLD], report.BESIDE_OLD),
        (a_plan(step("It drops it.")), [NEW], report.STOP_FIRST),
        (a_plan(step("It drops it.")), [NEW, OLD], report.STOP_NOW),
        (a_plan(step("It drops it."), fresh=True), [], report.BESIDE_OLD),
    ],
)
def test_scripts_go_by_the_exit_code(plan: Plan, alive: list[Running], code: int) -> None:
    assert report.exit_code(plan, alive) == code


def test_a_plan_in_words() -> None:
    text = report.as_text(a_plan(step(), step("It drops it.")), [OLD], [])
    assert "polling.0099_more: Adds more. 1,000,000 rows (estimated), 90 s." in text
    assert "Old processes must be stopped: It drops it." in text
    assert "About 3 min in all. This is an estimate" in text
    assert "Free space needed: 5.0 MB, beside a database of 2.0 MB; 1,000.0 MB are free." in text
    assert "Alive: a worker, of version 0.1.0." in text
    assert "may go on; their writes may wait for 3 s." in report.as_text(a_plan(step()), [], [])


def test_a_database_of_this_version_has_nothing_pending() -> None:
    assert check()[0] == report.UP_TO_DATE
    code, found = check("--json")
    assert (code, json.loads(found)["migrations"], json.loads(found)["version"]) == (0, [], __version__)
    call_command("upgrade", stdout=StringIO())  # without --check there is nothing to do, and nothing is copied
    assert plan_of(connection).steps == ()


def test_the_code_that_went_back_names_what_it_does_not_know() -> None:
    with connection.cursor() as cursor:
        row = "('polling', '9999_of_a_later_version', '2026-11-29 12:00:00+00:00')"
        cursor.execute(f"INSERT INTO django_migrations (app, name, applied) VALUES {row}")  # noqa: S608  (our own)
    assert "polling.9999_of_a_later_version" in check()[1]


def test_short_of_space_nothing_is_begun() -> None:
    with pytest.raises(CommandError, match="7 MB are needed at most"):
        Command()._refuse(a_plan(step(), free=6_999_999), copies=True)
    Command()._refuse(a_plan(step(), free=6_999_999), copies=False)


def test_every_migration_is_said_in_a_sentence_and_its_tables_exist() -> None:
    loader = MigrationLoader(None, ignore_no_migrations=True)
    found = {key: sentence_of(migration, []) for key, migration in loader.disk_migrations.items()}
    assert [key for key, text in found.items() if not text.endswith(".") or len(text) > 300] == []
    judged = [getattr(migration, "beside_old", None) for migration in loader.disk_migrations.values()]
    rates: list[Rate] = [rate for one in judged if one for rate in one.rates]
    assert {rate.table for rate in rates} <= set(connection.introspection.table_names())


def test_workers_name_their_version_and_old_ones_have_none() -> None:
    beat(Heartbeat.Part.CLUSTER, "here")
    Heartbeat.objects.create(part=Heartbeat.Part.CLUSTER, name="there", seen_at=timezone.now())
    Heartbeat.objects.create(part=Heartbeat.Part.CLUSTER, name="gone", seen_at=timezone.now() - timedelta(minutes=2))
    Heartbeat.objects.create(part=Heartbeat.Part.ANSWER, name="there", seen_at=timezone.now())
    found = {one.what: (one.version, one.old) for one in running.running(connection, timezone.now())}
    assert found["the worker here"] == (__version__, False)
    assert found["the worker there"] == ("", True)
    assert "the worker gone" not in found


class Clock:
    """A clock that only sleeping moves; what is to happen at a time happens then."""

    def __init__(self, at: dict[float, Callable[[], object]]) -> None:
        self.now, self.at = 0.0, at

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for when in [when for when in self.at if when <= self.now]:
            self.at.pop(when)()


@pytest.mark.parametrize(("moves_at", "alive"), [(20.0, ["the worker there"]), (1000.0, [])])
def test_a_sign_of_life_that_does_not_move_is_none(
    moves_at: float, alive: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_connected", lambda connection: [])
    worker = Heartbeat.objects.create(part=Heartbeat.Part.CLUSTER, name="there", seen_at=NOW - timedelta(minutes=5))
    rows = Heartbeat.objects.filter(pk=worker.pk)
    clock, said = Clock({moves_at: lambda: rows.update(seen_at=NOW)}), list[str]()
    found = still_alive(connection, NOW, said.append, clock=clock, sleep=clock.sleep)
    assert [one.what for one in found] == alive
    assert said == ["Looking for up to 50 s whether the worker there is still alive …"]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="of the embedded database")
def test_on_sqlite_the_lock_on_the_data_folder_tells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)
    assert running.running(connection, timezone.now()) == []
    hold(tmp_path)
    (found,) = running.running(connection, timezone.now())
    assert found.old
    assert str(tmp_path) in str(found)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL")
def test_on_postgresql_connections_tell_their_version() -> None:
    import psycopg

    assert settings.DATABASES["default"]["OPTIONS"]["application_name"] == f"cwconnect {__version__}"
    url = connection.get_connection_params()
    place = {name: url[name] for name in ("host", "port", "user", "dbname") if name in url}
    names = ("", "cwconnect 0.1.9", "psql")
    others = [psycopg.connect(**place, application_name=name) for name in names]
    found = [one.version for one in running.running(connection, timezone.now()) if one.old]
    for other in others:
        other.close()
    assert found == ["", "0.1.9"]
