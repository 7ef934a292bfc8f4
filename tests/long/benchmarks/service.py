"""The service in a contestant's process: a migrated database, and instances made as the REST API makes them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import django

from tests.long.benchmarks.contest import ROOT

if TYPE_CHECKING:
    from instances.models import ApiUser, Instance, Organization

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
SIGNATURE_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def set_up() -> None:
    """Start Django on the database that the environment names, and migrate it."""
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


class Tenants:
    """One organization, and the instances it watches."""

    def __init__(self) -> None:
        from instances.credentials.issuing import issue_secrets
        from instances.models import Organization

        issue_secrets(organization_name="Benchmark", user_name="alice")
        self.organization: Organization = Organization.objects.get(name="Benchmark")
        self.user: ApiUser = self.organization.api_users.get()

    def watch(
        self,
        base_url: str,
        *,
        name: str = "one",
        callback: str = "http://127.0.0.1:9/",
        keys: dict[str, Any] | None = None,
        **poll: Any,
    ) -> Instance:
        """Watch the contacts at `base_url` with the seed's configuration, these `keys` and these of its poll."""
        from instances.configuration.config_keys import InstanceConfig
        from instances.configuration.wire import read_configuration
        from instances.provisioning import create_instance
        from tests.seed import example_body

        own = {"event__notification__callback__url": callback, "event__notification__signature__key": SIGNATURE_KEY}
        body = example_body(base_url, **(own | (keys or {})))
        body["configuration"]["event.poller.configuration"]["contacts"] |= poll
        config = read_configuration(json.loads(json.dumps(body["configuration"])), base=InstanceConfig())
        made, _ = create_instance(organization=self.organization, user=self.user, name=name, tags=[], config=config)
        return made


def look_back(instance: Instance) -> None:
    """Have the instance's polls begin long ago, so that every record is a change of the next poll."""
    from instances.models import ResourcePoll
    from polling.models import PollState

    polls = ResourcePoll.objects.filter(instance=instance)
    polls.update(since=LONG_AGO)
    PollState.objects.filter(resource_poll__in=polls).update(cursor=LONG_AGO)


def poll_all(**settings: Any) -> int:
    """Run every due poll in this thread's loop; give how many ended."""
    from polling.detection.poll_loop import poll_due

    return poll_due(deadline=time.monotonic() + 3600, **settings)


@contextmanager
def working(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `manage.py work` as the service does."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "manage.py", "work", *options]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=sys.stderr)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
