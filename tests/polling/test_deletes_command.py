"""`manage.py deletes`: sweeping and deciding in the foreground, and the same decisions in the admin."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from polling.models import Health, PollRun, PollState, Site
from tests.support.polled_instance import PolledInstance
from tests.support.sweeps import delete, watch_deletes


def run(world: PolledInstance, *options: str) -> str:
    out = StringIO()
    call_command("deletes", world.instance.pk, *options, stdout=out, verbosity=0)
    return out.getvalue()


def test_it_sweeps_now(world: PolledInstance) -> None:
    watch_deletes(world)
    delete(world, 5)
    assert "29 rows, 1 event; no deletes are held" in run(world, "--sweep")
    assert world.recorded() == [("DELETED", "5")]


def test_it_shows_what_is_held_and_releases_it(world: PolledInstance) -> None:
    watch_deletes(world)
    delete(world, *range(1, 25))
    assert "24 deletes are held: 1, 2, 3" in run(world, "--sweep")
    assert world.recorded() == []
    assert "24 deletes are released" in run(world, "--release")
    assert len(world.recorded()) == 24


def test_it_dismisses_what_is_held(world: PolledInstance) -> None:
    watch_deletes(world)
    delete(world, *range(1, 25))
    run(world, "--sweep")
    assert "24 deletes are dismissed" in run(world, "--dismiss")
    assert "no deletes are held" in run(world, "--sweep")
    assert (world.recorded(), world.state.health) == ([], Health.HEALTHY)


def test_a_failed_sweep_is_an_error(world: PolledInstance) -> None:
    watch_deletes(world)
    world.store.fail_next(1, status=500)
    with pytest.raises(CommandError, match="500"):
        run(world, "--sweep")


def test_without_deletes_asked_for_it_says_so(watched: PolledInstance) -> None:
    with pytest.raises(CommandError, match="detectDeletes"):
        run(watched)


def test_a_person_decides_in_the_admin(world: PolledInstance, admin_client: Any) -> None:
    watch_deletes(world)
    delete(world, *range(1, 25))
    run(world, "--sweep")
    chosen = {"_selected_action": [world.state.pk]}
    url = "/admin/polling/pollstate/"
    admin_client.post(url, chosen | {"action": "release_held_deletes"})
    assert world.state.health == Health.HEALTHY
    page = admin_client.post(url, chosen | {"action": "sweep_selected_now"}, follow=True)
    assert "1 sweep is due now" in page.content.decode()
    page = admin_client.post(url, chosen | {"action": "dismiss_held_deletes"}, follow=True)
    assert "0 deletes are dismissed" in page.content.decode()


def test_what_is_asked_for_begins_after_it_was_asked(world: PolledInstance) -> None:
    watch_deletes(world)
    delete(world, 5)
    world.store.fail_next(1, status=500, path="/company/contacts/5")
    with pytest.raises(CommandError, match="500"):
        run(world, "--sweep")
    delete(world, 2)  # the open sweep has passed it

    assert "2 events" in run(world, "--sweep")
    assert world.recorded() == [("DELETED", "2"), ("DELETED", "5")]
    assert PollRun.objects.filter(status=PollRun.Status.ABANDONED).count() == 1


def test_while_connectwise_refuses_the_login_it_says_so_and_ends(world: PolledInstance) -> None:
    watch_deletes(world)
    world.store.set_keys("OTHER", "KEYS")
    world.poll()
    assert world.state.health == Health.UNAUTHORIZED

    with pytest.raises(CommandError, match="Incorrect public/private key"):
        run(world, "--sweep")


@pytest.mark.parametrize("command", ["poll", "deletes"])
def test_a_long_pause_that_connectwise_asked_for_is_said(world: PolledInstance, command: str) -> None:
    watch_deletes(world)
    until = timezone.now() + timedelta(hours=1)
    Site.objects.create(key=PollState.objects.get().site, blocked_until=until)

    with pytest.raises(CommandError, match=f"a pause until {until:%Y-%m-%d %H:%M:%S} UTC"):
        call_command(command, world.instance.pk, *(["--sweep"] if command == "deletes" else []), verbosity=0)
