"""People let in, and API keys, as a browser does it; with the clicks that it takes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.clicks import at_most
from tests.browser.conftest import PASSWORD, WIDE, Check, Site, Window

pytestmark = pytest.mark.timeout(180)


def test_a_colleague_reads_after_three_clicks_and_follows_the_link(
    window: Window, site: Site, browser: Any, violations: Check
) -> None:
    window.go("/")
    with at_most(window, 3):
        window.page.locator(".organization-menu > summary").click()
        window.click("People", role="link")
        window.click("Invite a viewer")
        window.wait_for("The invitation, shown this once")
    link = window.page.locator("#link").inner_text()
    assert violations(window) == []
    context = browser.new_context(viewport=WIDE)
    colleague = Window(context.new_page(), site.url)
    colleague.page.goto(link)
    colleague.wait_for("You are invited as viewer")
    assert "#" not in colleague.page.url
    assert violations(colleague) == []
    colleague.page.get_by_label("User name").fill("carla")
    colleague.page.get_by_label("Password").fill(PASSWORD)
    colleague.click("Join")
    colleague.wait_for("Welcome to")
    code = link.partition("#")[2]
    colleague.page.go_back()
    assert code not in colleague.page.url
    assert not any(code in text for text in colleague.page.evaluate("Object.values(sessionStorage)"))
    assert colleague.complaints == []
    context.close()


def test_the_code_can_be_pasted_where_there_is_no_script(window: Window, site: Site, browser: Any) -> None:
    window.go("/app/people")
    window.click("Invite a viewer")
    link = window.page.locator("#link").inner_text()
    context = browser.new_context(viewport=WIDE, java_script_enabled=False)
    colleague = Window(context.new_page(), site.url)
    colleague.page.goto(link)
    colleague.page.get_by_label("Code").fill(link.partition("#")[2])
    colleague.click("Continue")
    colleague.wait_for("You are invited as viewer")
    context.close()


def test_a_key_is_made_and_shown_whole(window: Window, violations: Check) -> None:
    window.go("/app/keys")
    window.page.get_by_label("Name", exact=True).fill("export")
    window.click("Make the key")
    window.wait_for("shown this once")
    assert "Organization" in window.page.locator("#header").inner_text()
    assert violations(window) == []


def test_a_lost_token_takes_three_clicks(window: Window, site: Site) -> None:
    window.go("/")
    with at_most(window, 3):
        window.page.locator(f"a[href='/app/instances/{site.instance}']").first.click()
        window.click("Settings", role="link")
        window.click("New token", exact=True)
        window.wait_for("shown this once")
