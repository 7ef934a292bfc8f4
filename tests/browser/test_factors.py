"""Second factors in a real browser, whose virtual authenticator stands for a device with passkeys."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from tests.browser.conftest import LOOKS, PASSWORD, WIDE, Check, Site, Window

ENDS = (LOOKS[0], LOOKS[-1])  # a phone in the dark, a desktop in the light

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
_MAKE = (
    "from django.contrib.auth.models import User; from instances.models import Membership, Organization; "
    "a = User.objects.create_user({name!r}, password={password!r}); "
    "Membership.objects.create(account=a, organization=Organization.objects.earliest('pk'), role='viewer')"
)


def somebody(browser: Any, site: Site, name: str) -> Iterator[Window]:
    """Yield a window with an authenticator, of a new person: at `localhost`, as passkeys know no bare address."""
    site.sql(_MAKE.format(name=name, password=PASSWORD))
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce")
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    window = Window(page, site.url.replace("127.0.0.1", "localhost"))
    yield window
    context.close()
    site.sql(f"from django.contrib.auth.models import User; User.objects.get(username={name!r}).delete()")
    assert window.complaints == []


@pytest.fixture
def petra(browser: Any, site: Site) -> Iterator[Window]:
    yield from somebody(browser, site, "petra")


@pytest.fixture
def theo(browser: Any, site: Site) -> Iterator[Window]:
    yield from somebody(browser, site, "theo")


def type_password(window: Window, name: str) -> None:
    window.go("/app/signin")
    window.page.get_by_label("User name").fill(name)
    window.page.get_by_label("Password").fill(PASSWORD)
    window.page.keyboard.press("Enter")


def sign_out(window: Window) -> None:
    window.page.set_viewport_size(WIDE)  # on a phone it is folded away
    window.click("Sign out")
    window.page.wait_for_url("**/app/signin")


def confirm(window: Window) -> None:
    window.page.get_by_label("Password").fill(PASSWORD)
    window.page.keyboard.press("Enter")


def test_a_passkey_is_added_used_as_second_step_and_alone_and_removed(petra: Window, violations: Check) -> None:
    page = petra.page
    type_password(petra, "petra")
    page.wait_for_url(f"{petra.url}/")
    petra.go("/app/factors")
    petra.click("Add a passkey", role="link")
    confirm(petra)
    petra.wait_for("Your browser asks where to keep it")
    found = violations(petra, ENDS)
    page.get_by_role("textbox", name="Name optional").fill("laptop")
    petra.click("Add the passkey")
    petra.wait_for("shown now, and never again")
    found += violations(petra, ENDS)
    codes = page.locator(".codes code").all_inner_texts()
    with page.expect_download() as download:
        petra.click("Download as text", role="link")
    assert all(code in download.value.path().read_text() for code in codes)
    petra.click("I have stored them", role="link")
    sign_out(petra)
    found += violations(petra, ENDS)
    type_password(petra, "petra")
    petra.wait_for("The second step")
    found += violations(petra, ENDS)
    petra.click("Use your passkey")
    page.wait_for_url(f"{petra.url}/")
    sign_out(petra)
    petra.click("Sign in with a passkey")
    page.wait_for_url(f"{petra.url}/")
    petra.go("/app/factors")
    petra.wait_for("Passkey “laptop”")
    found += violations(petra, ENDS)
    petra.click("Remove …: Passkey “laptop”", role="link")
    confirm(petra)
    petra.wait_for("It is your last one")
    found += violations(petra, ENDS)
    petra.click("Remove it")
    petra.wait_for("You have none")
    assert len(codes) == 10
    assert found == []


def test_an_app_is_added_where_one_must_have_a_factor_and_lets_in(theo: Window, site: Site, violations: Check) -> None:
    page = theo.page
    ask = "from instances.models import Organization; Organization.objects.update(second_factor={!r})"
    site.sql(ask.format("everybody"))
    try:
        type_password(theo, "theo")
        theo.wait_for("You must have a second factor here")
        theo.go("/app/people")
        theo.wait_for("You must have a second factor here")
        found = violations(theo, ENDS)
        theo.click("Add an app", role="link")
        confirm(theo)
        theo.wait_for("Have your authenticator app read this picture")
        found += violations(theo, ENDS)
        secret = re.sub(r"\s", "", page.locator(".secret").inner_text())
        assert page.locator(".qr").evaluate("each => each.naturalWidth") > 0
        step = int(time.time()) // 30
        page.get_by_label("Code").fill(format_hotp_value(hotp_value(secret, step)))
        page.keyboard.press("Enter")
        theo.wait_for("shown now, and never again")
        theo.click("I have stored them", role="link")
        page.wait_for_url(f"{theo.url}/")
        sign_out(theo)
        type_password(theo, "theo")
        theo.wait_for("The second step")
        page.get_by_label("Code").fill("000000")
        page.keyboard.press("Enter")
        theo.wait_for("This code is not taken")
        found += violations(theo, ENDS)
        page.get_by_label("Code").fill(format_hotp_value(hotp_value(secret, step + 1)))
        page.keyboard.press("Enter")
        page.wait_for_url(f"{theo.url}/")
        assert found == []
    finally:
        site.sql(ask.format("optional"))
