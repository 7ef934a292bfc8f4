"""The pages as a person uses them, in a real browser."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

import pytest

from cwconnect.site.openapi.compatible import COMPATIBLE
from cwconnect.site.openapi.modern import MODERN
from cwconnect.site.openapi.webhooks import WEBHOOKS
from tests.browser.conftest import PASSWORD, Site, Window, fill_in
from tests.support.services import wait_until

pytestmark = pytest.mark.timeout(180)
_titles = (f"Title {number}" for number in count())


def make_event(window: Window, site: Site, record: int) -> str:
    """Change a contact, poll it now, see it come without a reload; give the way to its event."""
    site.change(record, next(_titles))
    window.go(f"/app/instances/{site.instance}")
    window.click("Poll now: contacts")
    window.wait_for("Polled.")
    link = window.page.get_by_role("link", name=re.compile(rf"contacts.{record}$")).first  # playwright takes no / there
    link.wait_for()
    return str(link.get_attribute("href"))


def test_an_event_comes_without_a_reload(window: Window, site: Site) -> None:
    window.go(make_event(window, site, 3))
    window.wait_for("ConnectWise changed")


def test_a_reload_after_creation_creates_nothing_more(window: Window, site: Site) -> None:
    fill_in(window, site, "Second")
    window.page.reload()
    window.wait_for("Events as they come")
    window.go("/app/instances?q=Second")
    assert window.page.get_by_role("link", name="Second", exact=True).count() == 1
    site.delete("Second")


def test_what_is_wrong_stands_beside_its_field_and_the_rest_is_kept(window: Window) -> None:
    window.go("/app/instances/new")
    window.page.get_by_label("Company", exact=True).fill("acme")
    window.page.get_by_label("Public key").fill("PUB")
    window.click("Continue: Notify")
    window.click("Continue: Watch")
    window.click("Continue: Name")
    window.click("Create instance")
    window.wait_for("Nothing was done yet")
    assert window.page.get_by_label("Private key").get_attribute("aria-invalid") == "true"
    assert window.page.get_by_label("Company", exact=True).input_value() == "acme"
    assert window.page.get_by_label("Public key").input_value() == "PUB"
    window.complaints.clear()  # chromium logs the answer's 422


def test_enter_leads_to_the_next_part_and_sends_nothing(window: Window) -> None:
    window.go("/app/instances/new")
    window.page.get_by_role("textbox", name="Company").press("Enter")
    window.page.get_by_label("Callback URL").wait_for()
    assert window.page.get_by_text("Nothing was done yet").count() == 0


def test_a_test_that_fails_leads_to_its_field(window: Window) -> None:
    window.go("/app/instances/new")
    window.click("Test connection")
    window.click("Company", role="link", exact=True)
    assert window.page.evaluate("location.hash") == "#id_company"


def test_a_menu_stays_open_while_its_table_refreshes_and_closes_by_key(window: Window, site: Site) -> None:
    window.go(f"/app/instances/{site.instance}")
    menu = window.page.locator("main details.more").first
    menu.locator("summary").click()
    with window.page.expect_response(lambda answer: answer.url.endswith(f"/instances/{site.instance}")):
        pass
    menu.get_by_role("link", name="Backfill").wait_for()
    menu.locator("summary").press("Escape")
    menu.get_by_role("link", name="Backfill").wait_for(state="hidden")


def test_the_skip_link_leads_past_the_bar(window: Window) -> None:
    window.go("/app/events")
    window.page.keyboard.press("Tab")
    window.page.keyboard.press("Enter")
    window.page.keyboard.press("Tab")
    first = "document.querySelector('main').querySelector('a, button, input, select, textarea, summary')"
    assert window.page.evaluate(f"document.activeElement === {first}")


def test_what_is_copied_is_what_is_shown(window: Window, site: Site) -> None:
    window.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    window.go(make_event(window, site, 9))
    window.click("Copy the webhook-id")
    window.page.get_by_role("button", name="Copy the webhook-id").get_by_text("Copied").wait_for()
    copied = window.page.evaluate("navigator.clipboard.readText()")
    assert copied == window.page.locator("#webhook-id").inner_text()


def test_the_focus_stays_where_somebody_works(window: Window, site: Site) -> None:
    window.go(f"/app/instances/{site.instance}/settings")
    window.page.get_by_role("button", name="Test connection").focus()
    window.page.keyboard.press("Enter")
    window.wait_for("Connected to acme")
    window.page.locator("button:focus", has_text="Test connection").wait_for()


def test_what_was_typed_is_not_lost_unasked(window: Window, site: Site) -> None:
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    window.page.on("dialog", stay)
    window.go(f"/app/instances/{site.instance}/settings")
    window.page.get_by_label("Tags").fill("one, two")
    for times in (1, 2):
        window.click("Save the connection")
        wait_until(lambda: window.page.evaluate("1") and len(asked) == times, 10, "the question")  # noqa: B023  (asked at once)
    assert window.page.get_by_label("Tags").input_value() == "one, two"
    window.click("Save the name")
    window.wait_for("Saved.")
    assert asked == ["beforeunload"] * 2


@pytest.mark.parametrize(
    ("choice", "words"),
    [("Go on where it stopped", "polling goes on where it stopped"), ("From now", "before now is not recorded")],
)
def test_events_go_off_and_on(window: Window, site: Site, choice: str, words: str) -> None:
    window.go(f"/app/instances/{site.instance}")
    window.click("Switch events off")
    window.wait_for("Events are off.")
    window.click("Switch events on …", role="link")
    window.page.get_by_label(choice, exact=True).check()
    window.click("Switch events on")
    window.wait_for(words)


def test_an_event_is_replayed(window: Window, site: Site) -> None:
    way = make_event(window, site, 4)
    window.go(way)
    window.page.get_by_text("delivered").first.wait_for()
    window.page.get_by_role("button", name="Replay", exact=True).dblclick()
    window.page.get_by_text("replay", exact=True).first.wait_for()
    wait_until(lambda: site.receiver.events().count(("UPDATED", "4")) == 2, 15, "the replay")
    of_it = [got.webhook_id for got in site.receiver.got if b'"objectId":"4"' in got.body]
    assert (len(of_it), len(set(of_it))) == (2, 1)
    window.go("/app/deliveries")
    assert window.page.locator("section", has_text="Replays").locator("tbody tr").count() == 1  # of two clicks


def test_a_paused_delivery_is_released(window: Window, site: Site) -> None:
    site.receiver.answer = lambda got: (410, {})
    make_event(window, site, 5)
    window.go("/")
    window.wait_for("Delivery is paused.")
    site.receiver.answer = lambda got: (204, {})
    window.click("Release 1", role="link")
    window.click("Send test")
    window.wait_for("It arrived")
    window.click("Release 1 notification")
    window.wait_for("1 notification is delivered.")
    window.go("/")
    window.wait_for("Everything is well")


def test_verify_finds_what_is_missing_and_repair_records_it(window: Window, site: Site) -> None:
    make_event(window, site, 6)
    site.sql("from polling.models import Event; Event.objects.filter(record_id=6).delete()")
    make_event(window, site, 7)  # a later poll: what is newer than the last one is not missing yet
    window.go(f"/app/instances/{site.instance}/verify")
    window.click("Verify 2 resources")
    window.wait_for("Something is missing.")
    window.click("Repair contacts")
    window.wait_for("1 event was recorded")
    wait_until(lambda: site.receiver.events().count(("UPDATED", "6")) == 2, 30, "the event that was lost")
    window.click("Verify again: contacts")
    window.page.locator("tr", has_text="contacts").get_by_text("complete").wait_for()


def test_a_service_that_is_gone_is_said_to_be(window: Window) -> None:
    window.go("/")
    window.page.context.set_offline(True)
    window.wait_for("The service does not answer since")
    window.page.context.set_offline(False)
    window.page.locator("#unanswered").wait_for(state="detached")
    window.complaints.clear()


def test_a_session_that_ended_leads_to_the_sign_in_by_itself(window: Window) -> None:
    window.go("/")
    window.page.context.clear_cookies()
    window.page.get_by_role("heading", name="Sign in").wait_for()
    window.complaints.clear()  # chromium logs the 401


def test_signing_in_and_out(stranger: Window) -> None:
    stranger.go("/app/events")
    stranger.page.get_by_label("User name").fill("olga")
    stranger.page.get_by_label("Password").fill(PASSWORD)
    stranger.click("Sign in")
    stranger.page.get_by_role("heading", name="Events").wait_for()
    stranger.click("Sign out")
    stranger.page.get_by_role("heading", name="Sign in").wait_for()
    assert stranger.complaints == []


def test_the_menu_unfolds_on_a_phone(window: Window) -> None:
    window.page.set_viewport_size({"width": 390, "height": 844})
    window.go("/")
    window.click("Menu")
    window.click("Deliveries", role="link")
    window.wait_for("What waits")


@pytest.mark.parametrize("path", ["/app/events", "/app/deliveries"])
def test_what_a_list_is_filtered_by_is_folded_on_a_phone(window: Window, path: str) -> None:
    fields = window.page.locator("#filters")
    window.go(path)
    assert fields.is_visible()
    window.page.set_viewport_size({"width": 390, "height": 844})
    assert not fields.is_visible()
    window.click("Filter")
    assert fields.is_visible()
    window.go(f"{path}?instance=nobody")  # what was not understood is seen at once
    assert fields.is_visible()


def test_the_theme_is_switched_and_remembered(window: Window) -> None:
    window.page.emulate_media(color_scheme="light")
    window.go("/")
    window.click("Switch between light and dark")
    window.page.reload()
    assert window.page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_calls_of_the_api_are_searched_and_copied(window: Window) -> None:
    """The window fails the test for whatever the Content-Security-Policy would have kept from loading."""
    window.go("/api/docs")
    calls = window.page.locator(".call:visible")
    assert calls.count() == len({**COMPATIBLE, **MODERN}) + len(WEBHOOKS)
    window.page.get_by_label("Search the calls").fill("post /v1 run")
    assert calls.count() == 1
    calls.get_by_role("link").click()
    window.page.wait_for_url(re.compile(r"/api/docs/v1-polls#post_v1_"))
    window.click("Copy the curl line of POST /v1/instances/{instance}/polls/{poll}/run")
    window.wait_for("Copied")
