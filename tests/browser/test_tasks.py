"""What people come for, each within as many clicks as it may take."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.clicks import at_most
from tests.browser.conftest import Site, Window

pytestmark = pytest.mark.timeout(180)


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


def _type_the_connection(page: Any, site: Site) -> None:
    page.get_by_label("Site").focus()
    page.keyboard.type("Own")
    page.get_by_label("ConnectWise URL").fill(site.sandbox.url)
    page.get_by_label("Company").fill("acme")
    page.get_by_label("Public key").fill("PUB")
    page.get_by_label("Private key").fill("PRIV")
