"""*Edit keys*: the way from a refused login to polls that go on."""

from __future__ import annotations

import pytest
from django.test import Client

from polling.models import Health, PollState
from tests.support.page_forms import Page
from tests.support.polled_instance import PolledInstance


def refuse(world: PolledInstance, words: str, status: int = 401) -> None:
    """Have a poll be refused in these words."""
    world.store.fail_next(status=status, body={"code": "Unauthorized", "message": words})
    world.poll()
    assert world.state.health == Health.UNAUTHORIZED


@pytest.mark.parametrize(
    ("words", "status", "fields"),
    [
        ("Incorrect public/private key", 401, ["id_public_key", "id_private_key"]),
        ("Cannot route. Codebase/company is invalid.", 400, ["id_base_url", "id_company"]),
        ("The clientId is unknown.", 401, ["id_client_id"]),
        ("No right to contacts.", 403, []),
    ],
)
def test_the_refusal_stands_in_the_part_where_it_is_mended_and_marks_its_fields(
    watched: PolledInstance, operator: Client, words: str, status: int, fields: list[str]
) -> None:
    refuse(watched, words, status)
    page = Page(operator.get(f"/app/instances/{watched.instance.pk}/settings").content.decode())
    part = page.by_id("connection")
    assert part
    assert "API_Polling" in part.text
    assert words in part.text
    marked = [each.get("id") for each in page.elements if each.get("aria-invalid") == "true"]
    assert marked == fields
    assert not page.of_tag("title")[0].text.startswith("Error")  # nothing was sent yet


def test_once_saved_each_resource_is_polled_at_once_and_the_page_says_so(
    watched: PolledInstance, operator: Client
) -> None:
    refuse(watched, "Incorrect public/private key")
    asleep = watched.state.next_poll_at
    sent = {"part": "connection", "site": "own", "base_url": watched.sandbox.url, "company": "acme"}
    keys = {"public_key": "PUB", "private_key": "PRIV"}
    answer = operator.post(f"/app/instances/{watched.instance.pk}/settings", sent | keys, follow=True)
    page = Page(answer.content.decode())
    assert "Its resources are polled at once." in page.of_tag("main")[0].text
    assert not [each for each in page.elements if each.get("aria-invalid")]
    state = PollState.objects.get(pk=watched.state.pk)
    assert state.next_poll_at
    assert asleep
    assert state.next_poll_at < asleep


def test_other_parts_are_saved_while_the_login_is_refused(watched: PolledInstance, operator: Client) -> None:
    refuse(watched, "Incorrect public/private key")
    path = f"/app/instances/{watched.instance.pk}/settings"
    assert operator.post(path, {"part": "polling", "refresh_interval": "7"}).status_code == 302
