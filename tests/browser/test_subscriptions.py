"""A second receiver in a browser: added, tried, heard by, paused and deleted; its filter's fields and JSON in step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import NARROW, Check, Site, Window
from tests.support.receivers import Receiver, start_receiver

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def second() -> Iterator[Receiver]:
    """Another receiver."""
    with start_receiver() as server:
        yield server


def wait_for_json(page: Any, wanted: dict[str, Any]) -> None:
    """Wait until the field of the filter's JSON holds that, in whatever order."""
    page.wait_for_function(
        """wanted => {
            const sorted = (object) => JSON.stringify(Object.entries(object).sort());
            return sorted(JSON.parse(document.getElementById('id_filter-json').value)) === sorted(wanted);
        }""",
        arg=wanted,
    )


def test_a_receiver_is_added_heard_by_paused_and_deleted(
    window: Window, site: Site, second: Receiver, violations: Check
) -> None:
    page = window.page
    window.go(f"/app/instances/{site.instance}/delivery")
    window.click("Add a receiver", role="link")
    page.get_by_label("Name", exact=True).fill("Chiefs")
    page.get_by_label("URL", exact=True).fill(second.url)
    page.get_by_role("checkbox", name="Updated").check()
    wait_for_json(page, {"kinds": ["UPDATED"]})
    window.wait_for("In words: updated.")
    window.click("Try it")
    page.locator("#tried-count, #tried .empty").first.wait_for()
    window.click("Send test")
    window.wait_for("It arrived: the receiver answered 204")
    assert violations(window) == []
    window.click("Add the receiver")
    window.wait_for("Chiefs is added")
    assert page.locator("#signature-key").inner_text().startswith("whsec_")
    assert page.url.endswith(f"/app/instances/{site.instance}/delivery")  # a reload repeats nothing
    window.click("To its card", role="link")
    site.change(5, "Chief of all")
    window.go(f"/app/instances/{site.instance}")
    window.click("Poll now: contacts")
    site_waits_for(second)
    window.go(f"/app/instances/{site.instance}/delivery")
    window.click("Send test to Chiefs")
    window.wait_for("It arrived: the receiver answered 204")
    with page.expect_response(lambda answer: answer.request.headers.get("hx-request") == "true" and answer.ok):
        page.evaluate("htmx.trigger(document.querySelector('.subscriptions'), 'refresh')")
    page.wait_for_timeout(300)
    assert page.get_by_text("It arrived: the receiver answered 204").is_visible()
    window.click("Pause Chiefs")
    window.wait_for("Delivery to Chiefs is paused.")
    window.click("Release to Chiefs", role="link")
    window.click("Release 0 notifications")
    window.wait_for("Nothing waits any more.")
    window.go(f"/app/instances/{site.instance}/delivery")
    window.click("Delete … Chiefs", role="link")
    window.wait_for("Nothing waits for it.")
    window.click("Delete Chiefs")
    window.wait_for("Chiefs is deleted")


def site_waits_for(receiver: Receiver) -> None:
    """Wait until the receiver has been notified of a change, a test aside."""
    from tests.support.services import wait_until

    wait_until(lambda: len(receiver.got) > 1, 60, "the notification of the second receiver")


def test_fields_and_json_of_a_filter_are_one(window: Window, site: Site) -> None:
    page = window.page
    window.go(f"/app/instances/{site.instance}/subscriptions/add")
    page.get_by_label("Field", exact=True).first.fill("status.name")
    page.get_by_label("To", exact=True).first.fill("Closed, 17")
    page.get_by_label("Where", exact=True).fill("id > 4")
    page.keyboard.press("Tab")
    wait_for_json(page, {"to": {"status.name": ["Closed", 17]}, "where": "id > 4"})
    page.locator("#filter-as-json > summary").click()
    page.locator("#id_filter-json").fill('{"kinds":["DELETED"],"from":{"title":null}}')
    page.keyboard.press("Tab")
    window.wait_for("In words: deleted · title was nothing.")
    assert page.get_by_role("checkbox", name="Deleted").is_checked()
    assert page.get_by_label("Field", exact=True).first.input_value() == "title"
    assert page.get_by_label("From", exact=True).first.input_value() == "null"
    assert page.get_by_label("Where", exact=True).input_value() == ""
    page.locator("#id_filter-json").fill("{")
    page.keyboard.press("Tab")
    window.wait_for("It can’t be read as it stands.")


def test_enter_in_a_field_saves_and_leads_to_what_is_wrong(window: Window, site: Site) -> None:
    page = window.page
    page.set_viewport_size(NARROW)
    window.go(f"/app/instances/{site.instance}/subscriptions/add")
    page.get_by_label("URL", exact=True).fill("nonsense")
    page.keyboard.press("Enter")
    window.wait_for("2 fields need another look")
    page.locator(".summary a").first.click()
    assert page.evaluate("document.activeElement.id") == "id_name"
    assert all("422" in text for text in window.complaints)  # the browser's own
    window.complaints.clear()
