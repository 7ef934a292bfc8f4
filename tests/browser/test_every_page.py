"""Every page, whatever it has to tell: axe-core finds nothing, nothing sticks out, the console is silent.

The pages are those of the routes: a new route must be added to `PAGES`, or to `PARTS` if it is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.urls import URLPattern, reverse

from instances import pages_urls as about_instances
from polling import pages_urls as about_changes
from tests.browser.conftest import PASSWORD, Check, Site, Window
from tests.browser.troubles import EMPTY, NOWHERE, TROUBLED, VIEWER
from tests.processes.services import ask

pytestmark = pytest.mark.timeout(300)

Ids = dict[str, int]
PAGES: dict[str, Callable[[Ids], str]] = {
    "overview": lambda ids: reverse("overview"),
    "instances-page": lambda ids: reverse("instances-page"),
    "instance-page": lambda ids: reverse("instance-page", args=[ids["instance"]]),
    "instance-events": lambda ids: reverse("instance-events", args=[ids["instance"]]),
    "poll-page": lambda ids: reverse("poll-page", args=[ids["instance"], ids["poll"]]),
    "held-deletes": lambda ids: reverse("held-deletes", args=[ids["held"], ids["held_poll"]]),
    "instance-delivery": lambda ids: reverse("instance-delivery", args=[ids["instance"]]),
    "release-delivery": lambda ids: reverse("release-delivery", args=[ids["paused"]]),
    "release-progress": lambda ids: reverse("release-progress", args=[ids["instance"]]) + "?total=100",
    "replay": lambda ids: reverse("replay", args=[ids["instance"]]) + "?kind=UPDATED",
    "replay-progress": lambda ids: reverse("replay-progress", args=[ids["replay"]]),
    "verify-page": lambda ids: reverse("verify-page", args=[ids["instance"]]),
    "deliveries-page": lambda ids: reverse("deliveries-page"),
    "events-page": lambda ids: reverse("events-page"),
    "event-page": lambda ids: reverse("event-page", args=[ids["event"]]),
    "people": lambda ids: reverse("people"),
    "password": lambda ids: reverse("password"),
    "new-instance": lambda ids: reverse("new-instance"),
    "instance-settings": lambda ids: reverse("instance-settings", args=[ids["instance"]]),
    "switch-events": lambda ids: reverse("switch-events", args=[ids["off"]]),
    "delete-instance": lambda ids: reverse("delete-instance", args=[ids["instance"]]),
    "add-resource": lambda ids: reverse("add-resource", args=[ids["instance"]]),
    "edit-resource": lambda ids: reverse("edit-resource", args=[ids["instance"], "contacts"]),
}
BEFORE_SIGNING_IN = {"signin", "first-start"}  # the latter is looked at when the service is new: see conftest.py
PARTS = {
    *("instance-stream", "poll-progress", "verify-poll", "resource-counts", "resource-options"),  # of pages
    *("try-receiver", "try-draft", "test-connection", "test-stored-connection"),  # likewise, after a button
    *("poll-now", "backfill", "replay-event", "switch-instance", "choose-organization", "signout"),  # lead to pages
}


def test_no_page_is_forgotten() -> None:
    routes = [*about_instances.urlpatterns, *about_changes.urlpatterns]
    names = {route.name for route in routes if isinstance(route, URLPattern)}
    assert names == PAGES.keys() | BEFORE_SIGNING_IN | PARTS


@pytest.fixture(scope="session")
def ids(site: Site) -> Ids:
    """The troubled organization's rows."""
    code = f"from tests.browser.troubles import furnish; print(furnish({PASSWORD!r}))"
    found: Ids = json.loads(ask(site.data, "shell", "-v0", "-c", code).splitlines()[-1])
    return found


@pytest.fixture(scope="session")
def sign_in(browser: Any, site: Site, ids: Ids) -> Iterator[Callable[..., Window]]:
    """Sign somebody in, once; give a window of a colour scheme and a width for each call."""
    states: dict[str, Any] = {}
    contexts: list[Any] = []

    def window(name: str, scheme: str = "light", width: int = 1280) -> Window:
        context = browser.new_context(
            viewport={"width": width, "height": 844},
            color_scheme=scheme,
            reduced_motion="reduce",
            storage_state=states.get(name),
        )
        contexts.append(context)
        found = Window(context.new_page(), site.url)
        if name not in states:
            found.go("/app/signin")
            found.page.get_by_label("User name").fill(name)
            found.page.get_by_label("Password").fill(PASSWORD)
            found.click("Sign in")
            found.page.wait_for_url(f"{site.url}/")
            states[name] = context.storage_state()
        return found

    yield window
    for context in contexts:
        context.close()


def look_at(window: Window, path: str, check: Check) -> list[str]:
    """Open a page with all that folds unfolded; give what is wrong with it."""
    window.go(path)
    window.page.evaluate("document.querySelectorAll('details:not(.more)').forEach((each) => { each.open = true })")
    width = window.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return check(window) + ([f"it is {width[0]} wide in a window of {width[1]}"] if width[0] > width[1] else [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(
    sign_in: Callable[..., Window], ids: Ids, violations: Check, scheme: str
) -> None:
    window = sign_in(TROUBLED, scheme)
    wrong = {name: found for name, path in PAGES.items() if (found := look_at(window, path(ids), violations))}
    assert wrong == {}
    assert window.complaints == []


def test_nothing_sticks_out_on_a_phone(sign_in: Callable[..., Window], ids: Ids) -> None:
    window = sign_in(TROUBLED, width=390)
    wrong = {name: found for name, path in PAGES.items() if (found := look_at(window, path(ids), lambda _: []))}
    assert wrong == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_with_nothing_to_tell_are_sound(
    sign_in: Callable[..., Window], ids: Ids, violations: Check, scheme: str
) -> None:
    window = sign_in(EMPTY, scheme, 390)
    paths = ("/", "/app/instances", "/app/events", "/app/deliveries", "/app/nothing")
    wrong = {path: found for path in paths if (found := look_at(window, path, violations))}
    assert wrong == {}
    assert [text for text in window.complaints if "404" not in text] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_others_see_is_sound(
    sign_in: Callable[..., Window], ids: Ids, violations: Check, stranger: Window, scheme: str
) -> None:
    viewer, nowhere = sign_in(VIEWER, scheme), sign_in(NOWHERE, scheme)
    stranger.page.emulate_media(color_scheme=scheme)
    wrong = [
        *look_at(viewer, "/", violations),
        *look_at(viewer, PAGES["instance-page"](ids), violations),
        *look_at(viewer, "/app/instances/new", violations),
        *look_at(nowhere, "/", violations),
        *look_at(stranger, "/app/signin", violations),
    ]
    assert wrong == []
