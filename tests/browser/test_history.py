"""What has come is followed, and what was sent is copied: Events live, an attempt as cURL."""

from __future__ import annotations

import re

from tests.browser.conftest import Site, Window
from tests.browser.test_pages import make_event


def test_events_show_by_themselves_while_they_are_followed(window: Window, site: Site) -> None:
    window.go("/app/events")
    window.click("Live, is off: turn it on", role="link")
    window.page.wait_for_url(re.compile("live=1"))
    other = Window(window.page.context.new_page(), window.url)
    event = make_event(other, site, 12)
    other.page.close()
    window.page.locator(f'#event-rows a[href="{event}"]').wait_for()
    # A count and no more is said, a moment after the rows have come.
    said = window.page.locator("#live").filter(has_text=re.compile(r"^\d+ new events?$"))
    said.wait_for(state="attached")
    window.click("Live, is on: turn it off", role="link")
    window.page.wait_for_url(re.compile(r"events\??$"))
    assert window.page.locator("#event-rows[hx-get]").count() == 0


def test_an_attempt_is_copied_as_a_command_by_one_click(window: Window, site: Site) -> None:
    window.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    window.go(make_event(window, site, 13))
    window.page.get_by_role("link", name="Copy as cURL").first.click()
    window.page.get_by_role("button", name="Copied").wait_for()
    copied = window.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl --request POST")
    assert "webhook-signature: LEFT-OUT" in copied
    assert copied == window.page.locator("[id^=curl-][tabindex]").inner_text().strip()
    window.wait_for("the signatures are left out")
