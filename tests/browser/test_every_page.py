"""Every page, whatever it has to show: axe-core finds nothing, nothing sticks out, the console is silent.

The pages are those of the routes: a new route must be added to `PAGES`, or to `PARTS` if it is none. Those of the
admin are those of its models. Each is looked at on a phone and on a desktop, in light and in dark.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import URLPattern, reverse

from cwconnect.site.guide import urls as guidance
from cwconnect.site.openapi import urls as reference
from cwconnect.site.openapi.reference_pages import tags
from instances.pages import urls as about_instances
from polling.pages import urls as about_changes
from tests.browser.conftest import AT_A_GLANCE, LOOKS, NARROW, PASSWORD, WIDE, Check, Looks, Site, Window
from tests.browser.issues import EMPTY, NOWHERE, TROUBLED, VIEWER
from tests.support.services import ask

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
    "add-subscription": lambda ids: reverse("add-subscription", args=[ids["instance"]]),
    "edit-subscription": lambda ids: reverse("edit-subscription", args=[ids["instance"], ids["subscription"]]),
    "delete-subscription": lambda ids: reverse("delete-subscription", args=[ids["instance"], ids["subscription"]]),
    "held-back": lambda ids: reverse("held-back", args=[ids["instance"]]),
    "release-delivery": lambda ids: reverse("release-delivery", args=[ids["paused"]]),
    "release-progress": lambda ids: reverse("release-progress", args=[ids["instance"]]) + "?total=100",
    "replay": lambda ids: reverse("replay", args=[ids["instance"]]) + "?kind=UPDATED",
    "replay-progress": lambda ids: reverse("replay-progress", args=[ids["replay"]]),
    "bulk-jobs": lambda ids: reverse("bulk-jobs"),
    "bulk-job": lambda ids: reverse("bulk-job", args=[ids["job"]]),
    "verify-page": lambda ids: reverse("verify-page", args=[ids["instance"]]),
    "alerts-page": lambda ids: reverse("alerts-page"),
    "add-alert-destination": lambda ids: reverse("add-alert-destination") + "?kind=slack",
    "alert-destination": lambda ids: reverse("alert-destination", args=[ids["destination"]]),
    "mute-alerts": lambda ids: reverse("mute-alerts"),
    "deliveries-page": lambda ids: reverse("deliveries-page"),
    "replay-these": lambda ids: reverse("replay-these") + "?of=deliveries&state=waiting",
    "receiver-page": lambda ids: reverse("receiver-page", args=[ids["receiver"]]),
    "attempt-curl": lambda ids: reverse("attempt-curl", args=[ids["attempt"]]),
    "events-page": lambda ids: reverse("events-page"),
    "search": lambda ids: reverse("search") + "?q=ruth",
    "event-page": lambda ids: reverse("event-page", args=[ids["event"]]),
    "people": lambda ids: reverse("people"),
    "change-role": lambda ids: reverse("change-role", args=[ids["membership"]]),
    "remove-person": lambda ids: reverse("remove-person", args=[ids["membership"]]),
    "leave": lambda ids: reverse("leave"),
    "join": lambda ids: reverse("join"),
    "forgot-password": lambda ids: reverse("forgot-password"),
    "new-password": lambda ids: reverse("new-password"),
    "own-address": lambda ids: reverse("own-address"),
    "audit-page": lambda ids: reverse("audit-page"),
    "api-keys": lambda ids: reverse("api-keys"),
    "revoke-api-key": lambda ids: reverse("revoke-api-key", args=[ids["key"]]),
    "password": lambda ids: reverse("password"),
    "account_reauthenticate": lambda ids: reverse("account_reauthenticate"),
    "sessions": lambda ids: reverse("sessions"),
    "mfa_index": lambda ids: reverse("mfa_index"),
    "new-instance": lambda ids: reverse("new-instance"),
    "instance-settings": lambda ids: reverse("instance-settings", args=[ids["instance"]]),
    "copies-page": lambda ids: reverse("copies-page", args=[ids["instance"]]),
    "switch-events": lambda ids: reverse("switch-events", args=[ids["off"]]),
    "new-token": lambda ids: reverse("new-token", args=[ids["instance"]]),
    "delete-instance": lambda ids: reverse("delete-instance", args=[ids["instance"]]),
    "add-resource": lambda ids: reverse("add-resource", args=[ids["instance"]]),
    "edit-resource": lambda ids: reverse("edit-resource", args=[ids["instance"], "contacts"]),
    "help": lambda ids: reverse("help"),
    "help-home": lambda ids: reverse("help-home"),
    "help-document": lambda ids: reverse("help-document", args=["operations"]),
    "help-file": lambda ids: reverse("help-file", args=["cwconnect/deploy/helm/values.yaml"]),
    "event-catalogue": lambda ids: reverse("event-catalogue"),
    "event-catalogue-resource": lambda ids: reverse("event-catalogue-resource", args=["invoices"]),
    "receiver-code": lambda ids: reverse("receiver-code"),
    "api-docs": lambda ids: reverse("api-docs"),
    "api-docs-tag": lambda ids: reverse("api-docs-tag", args=["v1-polls"]),
    "instance-receiver-code": lambda ids: reverse("instance-receiver-code", args=[ids["instance"]]),
}
PARTS_OF_ALL = 4
# The last is looked at when the service is new: see conftest.py.
BEFORE_SIGNING_IN = {"signin", "account_login", "first-start"}
PARTS = {
    *(
        "engine-banner",
        "instance-callbacks",
        "instance-stream",
        "poll-progress",
        "verify-poll",
        "resource-counts",
        "resource-options",
        "field-names",
    ),  # of pages
    *("events-csv", "deliveries-csv", "audit-csv"),  # of pages, as files
    *("try-receiver", "try-draft", "test-connection", "test-stored-connection"),  # likewise, after a button
    *("test-subscription", "pause-subscription"),  # likewise: see tests/pages/test_subscriptions.py
    *("poll-now", "backfill", "replay-event", "switch-instance", "choose-organization", "signout"),
    *("start-bulk-job", "stop-bulk-job", "try-bulk-job-again", "save-view", "remove-view", "dismiss-given-up"),
    *("end-session", "end-other-sessions", "watch-resource"),  # lead to pages
    *("copy-file", "cancel-copy"),  # after a button: see tests/pages/test_copies.py
    # Take factors, and a session that said once more who it is: see test_factors.py.
    *("mfa_authenticate", "mfa_login_webauthn", "mfa_reauthenticate", "mfa_reauthenticate_webauthn"),
    *("mfa_activate_totp", "mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_generate_recovery_codes"),
    *("mfa_add_webauthn", "mfa_edit_webauthn", "mfa_remove_webauthn", "require-second-factor"),
    *("sign-in-by-issuer", "back-from-issuer", "own-issuer"),  # take an issuer: see test_issuer.py
    *("test-alert-destination", "remove-alert-destination", "unmute-alerts", "acknowledge-alert"),  # likewise
    *("invite-person", "revoke-invitation", "new-api-key"),  # likewise: see test_people.py
}


def test_no_page_is_forgotten() -> None:
    routes = [*about_instances.urlpatterns, *about_changes.urlpatterns, *guidance.urlpatterns, *reference.urlpatterns]
    routes += guidance.documents
    names = {route.name for route in routes if isinstance(route, URLPattern) and route.name}
    assert names == PAGES.keys() | BEFORE_SIGNING_IN | PARTS


# What Django's admin brings along, and a template of ours could mend by a copy of its whole template or script alone.
DJANGOS_OWN = {
    '<th class="original">': "the empty head above the link to each row of a table of inlines",
    '<span class="help-tooltip search-label-icon"': "the picture beside the search in the two lists of rights",
    '<span class="select2-selection': "select2 names its field by what is chosen, and while nothing is by nothing",
}


@dataclass(frozen=True)
class Furnished:
    """The troubled organization's rows, and the paths of the admin."""

    ids: Ids
    admin: list[str]


@pytest.fixture(scope="package")
def furnished(site: Site) -> Furnished:
    """Rows that trouble an organization."""
    code = f"from tests.browser.issues import furnish; print(furnish({PASSWORD!r}))"
    return Furnished(**json.loads(ask(site.data, "shell", "-v0", "-c", code).splitlines()[-1]))


@pytest.fixture(scope="package")
def ids(furnished: Furnished) -> Ids:
    """The troubled organization's rows."""
    return furnished.ids


@pytest.fixture(scope="package")
def sign_in(browser: Any, site: Site, ids: Ids) -> Iterator[Callable[[str], Window]]:
    """Sign somebody in, once; give a window for each call."""
    states: dict[str, Any] = {}
    contexts: list[Any] = []

    def window(name: str) -> Window:
        context = browser.new_context(viewport=WIDE, reduced_motion="reduce", storage_state=states.get(name))
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


def look_at(window: Window, path: str, check: Check, looks: Looks = LOOKS) -> list[str]:
    """Open a page with all that folds unfolded; give what is wrong with it."""
    window.go(path)
    window.page.evaluate("document.querySelectorAll('details:not(.more)').forEach((each) => { each.open = true })")
    return check(window, looks)


@pytest.mark.parametrize("part", range(PARTS_OF_ALL))
def test_axe_finds_nothing_on_any_page(
    sign_in: Callable[[str], Window], ids: Ids, violations: Check, part: int
) -> None:
    """In parts, so that each ends within its time on a machine that is busy otherwise."""
    window = sign_in(TROUBLED)
    mine = list(PAGES.items())[part::PARTS_OF_ALL]
    wrong = {name: found for name, path in mine if (found := look_at(window, path(ids), violations))}
    assert wrong == {}
    assert window.complaints == []


def test_each_page_works_without_javascript_and_says_what_does_not(
    browser: Any, site: Site, sign_in: Callable[[str], Window], ids: Ids
) -> None:
    """What only a script could do is not offered, and a sentence says so; all that a page leads to can be reached."""
    kept = sign_in(TROUBLED).page.context.storage_state()
    context = browser.new_context(viewport=NARROW, java_script_enabled=False, storage_state=kept)
    page, dead = context.new_page(), {}
    for name, path in PAGES.items():
        answer = page.goto(site.url + path(ids), wait_until="load")  # with the style that hides what needs a script
        buttons = page.locator("button[type=button]:visible, [hx-trigger=load]:visible:empty").all_inner_texts()
        said = page.locator("noscript .notice").is_visible() and page.locator("#menu").is_visible()
        if not answer.ok or buttons or not said:
            dead[name] = (answer.status, said, buttons)
    context.close()
    assert dead == {}


def test_axe_finds_nothing_in_the_admin_but_what_django_brings_along(
    sign_in: Callable[[str], Window], furnished: Furnished, violations: Check, stranger: Window
) -> None:
    window = sign_in(TROUBLED)
    event, instance = reverse("admin:polling_event_changelist"), furnished.ids["instance"]
    paths = [reverse("admin:index"), reverse("admin:password_change"), *furnished.admin]
    paths += [f"{event}?polled_at__gte={datetime.now(UTC).year}-01-01T00:00Z", f"{event}?q=nothing&kind__exact=DELETED"]
    paths += [reverse(f"admin:instances_instance_{what}", args=[instance]) for what in ("history", "delete")]
    found = {path: look_at(window, path, violations, LOOKS if "/event/" in path else AT_A_GLANCE) for path in paths}
    found["to be confirmed"] = confirm_a_deletion(window, instance, violations)
    found["sign in"] = look_at(stranger, reverse("admin:login"), violations)
    wrong = {path: left for path, all_ in found.items() if (left := [one for one in all_ if not _is_djangos(one)])}
    assert wrong == {}
    assert window.complaints == []


def _is_djangos(violation: str) -> bool:
    return violation.partition(": ")[2].startswith(tuple(DJANGOS_OWN))


def confirm_a_deletion(window: Window, instance: int, check: Check) -> list[str]:
    """Choose an instance in the list and the action that deletes it; give what is wrong with the question."""
    window.go(f"{reverse('admin:instances_instance_changelist')}?q={instance}")
    window.page.locator("input[name=_selected_action]").first.check()
    window.page.locator("select[name=action]").select_option("delete_selected")
    window.click("Go")
    window.wait_for("Are you sure you want to delete")
    return check(window)


def test_pages_with_nothing_to_show_are_sound(sign_in: Callable[[str], Window], ids: Ids, violations: Check) -> None:
    window = sign_in(EMPTY)
    paths = ("/", "/app/instances", "/app/events", "/app/deliveries", "/app/alerts", "/app/nothing")
    wrong = {path: found for path in paths if (found := look_at(window, path, violations))}
    assert wrong == {}
    assert [text for text in window.complaints if "404" not in text] == []


def test_the_whole_reference_of_the_api_is_sound_for_anybody(stranger: Window, violations: Check) -> None:
    paths = [reverse("api-docs-tag", args=[tag.slug]) for tag in tags()]
    wrong = {path: found for path in paths if (found := look_at(stranger, path, violations, AT_A_GLANCE))}
    assert wrong == {}
    assert stranger.complaints == []


def test_what_others_see_is_sound(
    sign_in: Callable[[str], Window], ids: Ids, violations: Check, stranger: Window
) -> None:
    viewer, nowhere = sign_in(VIEWER), sign_in(NOWHERE)
    wrong = [
        *look_at(viewer, "/", violations),
        *look_at(viewer, PAGES["instance-page"](ids), violations),
        *look_at(viewer, PAGES["alerts-page"](ids), violations),
        *look_at(viewer, "/app/instances/new", violations),
        *look_at(nowhere, "/", violations),
        *look_at(stranger, "/app/signin", violations),
    ]
    assert wrong == []
