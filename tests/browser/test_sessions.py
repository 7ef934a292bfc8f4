"""One's own sessions in two browsers, by the keyboard alone."""

from __future__ import annotations

from typing import Any

from tests.browser.conftest import NARROW, PASSWORD, Site, Window


def test_another_browser_is_signed_out_by_the_keyboard(browser: Any, site: Site, window: Window) -> None:
    context = browser.new_context(
        viewport=NARROW, user_agent="Mozilla/5.0 (iPhone) Version/18.6 Mobile/15E148 Safari/604.1"
    )
    phone = Window(context.new_page(), site.url)
    phone.go("/app/signin")
    phone.page.get_by_label("User name").fill("olga")
    phone.page.get_by_label("Password").fill(PASSWORD)
    phone.page.keyboard.press("Enter")
    phone.page.wait_for_url(f"{site.url}/")
    window.go("/app/sessions")
    window.page.get_by_role("button", name="End all others").focus()
    button = window.page.get_by_role("button", name="End Safari on iPhone from 127.0.0.1")
    window.page.keyboard.press("Tab")
    while not button.evaluate("each => each === document.activeElement"):
        assert window.page.evaluate("document.activeElement.matches('main button')")  # it comes among the sessions
        window.page.keyboard.press("Tab")
    window.page.keyboard.press("Enter")
    window.wait_for("The session has ended")
    phone.go("/app/sessions")
    phone.page.wait_for_url("**/app/signin?next=/app/sessions")
    context.close()
