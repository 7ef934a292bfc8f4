"""The keys: one for the search, one for the list of them, two for a page; and none while somebody types."""

from __future__ import annotations

import pytest

from tests.browser.clicks import at_most
from tests.browser.conftest import Check, Site, Window

pytestmark = pytest.mark.timeout(180)
FOCUSED = "document.activeElement.id"


def test_a_slash_leads_to_the_search_and_enter_to_what_was_searched(window: Window, violations: Check) -> None:
    window.go("/")
    with at_most(window, 0):
        window.page.keyboard.press("/")
        assert window.page.evaluate(FOCUSED) == "find"
        window.page.keyboard.type("g/e?0123456789abcdef01234567")
        assert window.page.locator("#find").input_value() == "g/e?0123456789abcdef01234567"
        window.page.locator("#find").fill("0123456789abcdef01234567")
        window.page.keyboard.press("Enter")
        window.wait_for("Request 0123456789abcdef01234567")
    assert violations(window) == []


def test_g_and_a_letter_lead_to_a_page(window: Window) -> None:
    window.go("/")
    for letter, path in {"i": "/app/instances", "e": "/app/events", "d": "/app/deliveries", "o": "/"}.items():
        window.page.keyboard.press("g")
        window.page.keyboard.press(letter)
        window.page.wait_for_url(f"**{path}")
    window.page.keyboard.press("Control+g")
    window.page.keyboard.press("e")
    window.page.keyboard.press("g")
    window.page.keyboard.press("Shift")
    window.page.keyboard.press("?")
    window.page.keyboard.press("Escape")
    assert window.page.url.endswith("/")


def test_a_question_mark_lists_the_keys(window: Window, violations: Check) -> None:
    window.go("/app/events")
    window.page.keyboard.press("?")
    dialog = window.page.get_by_role("dialog", name="Keys")
    dialog.wait_for()
    assert violations(window) == []
    window.page.keyboard.press("g")
    window.page.keyboard.press("o")
    assert window.page.url.endswith("/app/events")  # a list that is open takes no other key
    window.page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_the_keys_can_be_switched_off_and_on(window: Window) -> None:
    window.go("/app/events")
    window.page.keyboard.press("?")
    window.click("Switch the keys off")
    window.page.keyboard.press("Escape")
    window.page.keyboard.press("/")
    assert window.page.evaluate(FOCUSED) != "find"
    window.page.reload()
    window.page.locator(".organization-menu summary").click()
    window.click("Keys: ?")
    window.click("Switch the keys on")
    window.page.keyboard.press("Escape")
    window.page.keyboard.press("/")
    assert window.page.evaluate(FOCUSED) == "find"


def test_the_search_stands_in_the_menu_of_a_phone(window: Window) -> None:
    window.page.set_viewport_size({"width": 390, "height": 800})
    window.go("/")
    assert not window.page.locator("#find").is_visible()
    window.click("Menu")
    window.page.locator("#find").fill("nobody is called so")
    window.page.keyboard.press("Enter")
    window.wait_for("Nothing is called")


def test_the_event_of_a_person_takes_two_clicks(window: Window, site: Site) -> None:
    site.change(5, "Of two clicks")
    window.go(f"/app/instances/{site.instance}")
    window.click("Poll now: contacts")
    window.wait_for("Polled.")
    link = window.page.get_by_role("link", name="contacts/5").first
    link.wait_for()
    name = str(link.inner_text()).split(" · ")[0]
    window.go("/")
    with at_most(window, 2):
        window.page.get_by_role("searchbox", name="Find a name").click()
        window.page.keyboard.type(name)
        window.page.keyboard.press("Enter")
        window.page.get_by_role("link", name="contacts/5").first.click()
        window.wait_for("ConnectWise changed")
