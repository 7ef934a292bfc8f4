"""What people come for, each within as many clicks as it may take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.clicks import at_most
from tests.browser.conftest import PASSWORD, WIDE, Site, Window
from tests.browser.test_pages import make_event
from tests.support.services import ask, wait_until

pytestmark = pytest.mark.timeout(180)

# Nothing of them is polled: none has a time for it.
_MANY = f"""
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from instances.models import Instance, Membership, Organization
from polling.models import Health, Notification, PollState
from tests.support.page_rows import add_events, add_instances

many = Organization.objects.create(name="Many")
mia = User.objects.create_user("mia", password={PASSWORD!r})
Membership.objects.create(account=mia, organization=many, role="operator")
instances = add_instances(many, 500)
Instance.objects.filter(organization=many).update(callback_url=RECEIVER)
refused = PollState.objects.filter(resource_poll__instance=instances[7])
refused.update(health=Health.UNAUTHORIZED, last_error="ConnectWise answered 401: Incorrect public/private key")
yesterday = timezone.localtime().replace(hour=12) - timedelta(days=1)
for instance in instances[:3]:
    add_events(instance, 2, at=yesterday)
Notification.objects.filter(instance__organization=many).update(state="failed", next_attempt_at=None)
"""


def test_clicks_are_counted(window: Window) -> None:
    window.go("/")
    with pytest.raises(AssertionError, match="it took 2 clicks"):
        _two_clicks_where_one_is_allowed(window)


def _two_clicks_where_one_is_allowed(window: Window) -> None:
    with at_most(window, 1):
        window.click("Events", role="link")
        window.click("Deliveries", role="link")


def test_a_first_instance_takes_five(window: Window, site: Site) -> None:
    window.go("/")
    with at_most(window, 5):
        window.click("New instance", role="link")
        _type_the_connection(window.page, site)
        for part in ("Notify", "Watch", "Name"):
            window.click(f"Continue: {part}")
            if part == "Notify":
                window.page.get_by_label("Callback URL").fill(site.receiver.url)
        window.page.get_by_label("Name", exact=True).fill("In five clicks")
        window.click("Create instance")
        window.wait_for("Its token, shown this once")
    site.delete("In five clicks")


def _type_the_connection(page: Any, site: Site) -> None:
    page.get_by_label("Site", exact=True).focus()
    page.keyboard.type("Own")
    page.get_by_label("ConnectWise URL").fill(site.sandbox.url)
    page.get_by_label("Company", exact=True).fill("acme")
    page.get_by_label("Public key").fill("PUB")
    page.get_by_label("Private key").fill("PRIV")


@pytest.fixture(scope="module")
def many(browser: Any, site: Site) -> Iterator[Window]:
    """A window of an operator of 500 instances, one with refused keys, three with what was given up yesterday."""
    site.sql(f"RECEIVER = {site.receiver.url!r}\n{_MANY}")
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce")
    window = Window(context.new_page(), site.url)
    window.go("/app/signin")
    window.page.get_by_label("User name").fill("mia")
    window.page.get_by_label("Password").fill(PASSWORD)
    window.click("Sign in")
    window.page.get_by_role("heading", level=1).wait_for()
    yield window
    context.close()
    assert window.complaints == []


def test_why_events_stopped_takes_none(many: Window) -> None:
    many.go("/")
    with at_most(many, 0):
        many.wait_for("ConnectWise refuses the keys")
        many.wait_for("Incorrect public/private key")


def test_mending_refused_keys_takes_two(window: Window, site: Site) -> None:
    changed = "health='unauthorized', last_error='ConnectWise answered 401: Incorrect public/private key'"
    of_acme = f"PollState.objects.filter(resource_poll__instance={site.instance})"
    site.sql(f"from polling.models import PollState; {of_acme}.update({changed}, next_poll_at=None)")
    window.go("/")
    with at_most(window, 2):
        window.click("Edit keys", role="link")
        window.page.get_by_label("Private key").fill("PRIV")
        window.page.keyboard.press("Tab")
        window.click("Save the connection")
        window.wait_for("Saved.")
    window.go("/")
    window.wait_for("Everything is well")


def test_replaying_what_all_instances_gave_up_yesterday_takes_three(many: Window, site: Site) -> None:
    many.go("/app/deliveries")
    before = len(site.receiver.got)
    with at_most(many, 3):
        many.click("Given up yesterday", role="link")
        many.click("Replay these 6", role="link")
        many.click("Replay 6 notifications")
        # Acme's may come meanwhile; what these hold is nothing at all.
        wait_until(
            lambda: sum(got.body == b"{}" for got in site.receiver.got[before:]) == 6,
            60,
            "the replays",
            lambda: [got.body[:200] for got in site.receiver.got[before:]],
        )


def test_a_lost_token_takes_three(many: Window) -> None:
    many.go("/")
    with at_most(many, 3):
        many.page.get_by_role("table").get_by_role("link", name="Company").first.click()
        many.click("Settings", role="link", exact=True)
        many.click("New token")
        many.wait_for("shown this once")


def test_letting_a_colleague_look_takes_three(many: Window) -> None:
    many.go("/app/events")
    with at_most(many, 3):
        many.page.locator("summary", has_text="Many").click()
        many.click("People", role="link", exact=True)
        many.click("Invite a viewer")
        many.page.get_by_role("button", name="Copy").first.wait_for()


def test_an_event_is_found_by_a_name_with_two(window: Window, site: Site) -> None:
    make_event(window, site, 12)
    contact = site.sandbox.store.get("contacts", 12)
    assert contact
    with at_most(window, 2):
        _search(window, f"{contact['firstName']} {contact['lastName']}")
        if "/app/search" in window.page.url:  # more than one record is called like that
            window.page.get_by_role("main").get_by_role("link", name="contacts/12").first.click()
        window.wait_for("ConnectWise changed")


def test_a_request_is_found_by_its_id_with_one(many: Window, site: Site) -> None:
    newest = "AuditEntry.objects.exclude(request_id='').last()"
    code = f"from instances.models import AuditEntry; print({newest}.request_id)"
    request_id = ask(site.data, "shell", "-v0", "-c", code).splitlines()[-1]
    many.go("/")
    with at_most(many, 1):
        _search(many, request_id)
        many.page.get_by_role("heading", name=request_id).first.wait_for()


def _search(window: Window, text: str) -> None:
    window.page.keyboard.press("/")
    window.page.keyboard.type(text)
    with window.page.expect_navigation():
        window.page.keyboard.press("Enter")


def test_the_interval_of_500_instances_takes_four(many: Window) -> None:
    """The last one: with a new interval they are polled, and fail."""
    many.go("/")
    with at_most(many, 4):
        many.click("Instances", role="link", exact=True)
        many.page.get_by_label("All 500 that match").check()
        many.page.locator("summary", has_text="Interval").click()
        many.page.get_by_label("Minutes between polls").fill("5")
        many.click("Set interval")
        many.page.get_by_text("500 of 500").first.wait_for(timeout=120_000)  # a worker's work, not a page's
