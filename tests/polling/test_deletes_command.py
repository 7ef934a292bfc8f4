"""`manage.py deletes`: sweeping and deciding in the foreground, and the same decisions in the admin."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from polling.models import Health
from tests.polling.conftest import World
from tests.polling.sweeping import delete, watch_deletes


def run(world: World, *options: str) -> str:
    out = StringIO()
    call_command("deletes", world.instance.pk, *options, stdout=out, verbosity=0)
    return out.getvalue()


def test_it_sweeps_now(world: World) -> None:
    watch_deletes(world)
    delete(world, 5)
    assert "29 rows, 1 event; no deletes are held" in run(world, "--sweep")
    assert world.told() == [("DELETED", "5")]


def test_it_shows_what_is_held_and_releases_it(world: World) -> None:
    watch_deletes(world)
    delete(world, *range(1, 25))
    assert "24 deletes are held: 1, 2, 3" in run(world, "--sweep")
    assert world.told() == []
    assert "24 deletes are released" in run(world, "--release")
    assert len(world.told()) == 24


def test_it_dismisses_what_is_held(world: World) -> None:
    watch_deletes(world)
    delete(world, *range(1, 25))
    run(world, "--sweep")
    assert "24 deletes are dismissed" in run(world, "--dismiss")
    assert "no deletes are held" in run(world, "--sweep")
    assert (world.told(), world.state.health) == ([], Health.HEALTHY)


def test_a_failed_sweep_is_an_error(world: World) -> None:
    watch_deletes(world)
    world.store.fail_next(1, status=500)
    with pytest.raises(CommandError, match="500"):
        run(world, "--sweep")


def test_without_deletes_asked_for_it_says_so(watched: World) -> None:
    with pytest.raises(CommandError, match="detectDeletes"):
        run(watched)


def test_a_person_decides_in_the_admin(world: World, admin_client: Any) -> None:
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
