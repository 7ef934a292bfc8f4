"""Several instances chosen in the list, and changed by one job that is followed."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Site, Window

pytestmark = pytest.mark.timeout(180)


def unfold(window: Window, menu: str, field: str) -> None:
    """Open a menu of the bar, which leads to its field."""
    window.page.locator("summary", has_text=menu).click()
    window.page.wait_for_function(f"document.activeElement.id === '{field}'")


def change_interval(window: Window, minutes: str) -> None:
    """Type an interval for what is chosen, and follow the job to its end; Enter presses the button beside the field."""
    unfold(window, "Interval…", "minutes")
    window.page.keyboard.type(minutes)
    window.page.keyboard.press("Enter")
    window.wait_for(f"→ {minutes} min")
    window.wait_for("1 of 1")


def test_what_is_chosen_is_counted_and_changed_by_a_job(window: Window) -> None:
    page = window.page
    window.go("/app/instances")
    every, one = page.get_by_label("All 1 that match"), page.locator("input[name=instance]")
    page.get_by_label("Choose all on this page").check()
    assert one.is_checked()
    window.wait_for("1 chosen")
    one.uncheck()
    window.wait_for("or choose some below")
    every.check()
    assert one.is_disabled(), "all are chosen, whichever page they are on"
    change_interval(window, "7")
    window.go("/app/instances")
    page.locator("input[name=instance]").check()
    change_interval(window, "15")
    assert window.complaints == []


def test_a_view_is_saved_with_enter_and_opened_again(window: Window, site: Site) -> None:
    page = window.page
    window.go("/app/instances?state=well")
    unfold(window, "Save this view…", "view-name")
    page.keyboard.type("All well")
    page.keyboard.press("Enter")
    window.wait_for("Saved as “All well”")
    window.go("/app/instances")
    window.click("All well", role="link")
    page.wait_for_url("**state=well")
    window.click("Remove the view All well")
    window.wait_for("is removed")
    assert window.complaints == []
