"""`python -m tests.upgrades VERSION`: leave the database of this version as a dump that later versions are tried on.

SQLite; with CWCONNECT_DATABASE_URL set, that (empty) PostgreSQL. What stands in it: a poll cut off between two pages,
notifications delivered, failed and never tried, deletes and field changes asked for, every secret an instance has.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.upgrades.site import Site, serving

HERE = Path(__file__).parent
SITE, RECEIVER = "127.0.0.1:10001", "127.0.0.1:10002"  # what stands in a dump in place of the ports of its making


def main(version: str) -> None:
    """Make the rows, and write them."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CWCONNECT_DATA_DIR"] = folder
        import django

        django.setup()
        from django.core.management import call_command

        from tests.support.receivers import start_receiver

        call_command("migrate", verbosity=0)
        site = Site()
        with serving(site.handler()) as port, start_receiver() as receiver:
            _live(site, f"http://127.0.0.1:{port}", receiver)
            ports = {f"127.0.0.1:{port}": SITE, receiver.url.split("/")[2]: RECEIVER}
        _write(version, site, [got.webhook_id for got in receiver.got[:-1]], ports)


def _live(site: Site, url: str, receiver: Any) -> None:
    from instances.configuration.config_keys import InstanceConfig
    from instances.configuration.wire import read_configuration
    from instances.credentials.issuing import issue_secrets
    from instances.models import Organization
    from instances.provisioning import create_instance
    from tests.seed import example_body
    from tests.support.deliveries import deliver

    now = datetime.now(UTC)
    for number in range(1, 6):
        site.write(number, f"person {number}", now - timedelta(hours=2))
    issue_secrets(organization_name="Alpha", user_name="alice")
    organization = Organization.objects.get()
    body = example_body(f"{url}/v4_6_release/apis/3.0")["configuration"]
    poll = {"url": "/hubs/crm/contacts", "pageSize": 2, "detectDeletes": True, "trackChanges": True}
    body |= {
        "event.notification.callback.url": receiver.url,
        "event.notification.callback.headers": {"X-Api-Key": "a key"},
        "event.notification.signature.key": "a signature key",
        "event.notification.basic.username": "bob",
        "event.notification.basic.password": "a password",
        "event.poller.configuration": {"contacts": poll},
        "connectwise.clientID": "a client",
    }
    config = read_configuration(body, base=InstanceConfig())
    user = organization.api_users.get()
    create_instance(organization=organization, user=user, name="Kept", tags=["a"], config=config)
    _poll()
    site.write(2, "told", now + timedelta(seconds=1))
    _poll()
    assert deliver() == 1
    site.write(3, "tried in vain", now + timedelta(seconds=2))
    _poll()
    receiver.answer = lambda got: (500, {})
    assert deliver() == 1
    for number in (1, 4, 5):
        site.write(number, "cut off", now + timedelta(seconds=3))
    site.cut = True
    _poll()


def _poll() -> None:
    from polling.detection.poll_loop import PollLoop
    from polling.models import PollState
    from polling.workers.due import make_due

    make_due(PollState.objects.all())
    PollLoop(PollState.objects.all(), deadline=float("inf")).run()


def _write(version: str, site: Site, delivered: list[str], ports: dict[str, str]) -> None:
    from django.db import connection

    connection.close()
    settings = connection.settings_dict
    text = _of_sqlite(str(settings["NAME"])) if connection.vendor == "sqlite" else _of_postgresql(settings)
    for own, placeholder in ports.items():
        text = text.replace(own, placeholder)
    name = HERE / f"{version}.{connection.vendor}"
    name.with_suffix(name.suffix + ".sql").write_text(text, encoding="utf-8")
    kept = {"records": site.records, "delivered": delivered}
    name.with_suffix(name.suffix + ".json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def _of_sqlite(file: str) -> str:
    with closing(sqlite3.connect(file)) as database:
        return "\n".join(database.iterdump()) + "\n"


def _of_postgresql(settings: dict[str, Any]) -> str:
    place = ["-h", settings["HOST"], "-p", str(settings["PORT"]), "-U", settings["USER"], settings["NAME"]]
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))
    program = str(found[-1]) if found else "pg_dump"
    options = ["--rows-per-insert=100", "--no-owner", "--no-privileges"]
    dump = subprocess.run([program, *options, *place], check=True, capture_output=True, text=True).stdout
    return re.sub(r"^(--.*|\\.*|)\n", "", dump, flags=re.MULTILINE)  # comments, and commands of psql


if __name__ == "__main__":
    main(sys.argv[1])
