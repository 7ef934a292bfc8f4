"""Signing in by a real issuer program: npm's oidc-provider, a certified one, and Chromium between the two."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cwconnect.site.demo import free_port
from tests.browser.conftest import PASSWORD, WIDE, Check, Window
from tests.support.required import SERVICES_REQUIRED
from tests.support.services import ask, manage, wait_until

NPM = Path(os.environ.get("CWCONNECT_TEST_NPM", "/nowhere"))
READY = (NPM / "node_modules" / "oidc-provider").is_dir() and shutil.which("node") is not None
pytestmark = pytest.mark.skipif(
    not READY and not SERVICES_REQUIRED,
    reason="needs node, and npm's oidc-provider installed in the folder that CWCONNECT_TEST_NPM names",
)
CLIENT, SECRET = "cwconnect", "a-secret-of-the-registration"
PEOPLE = (
    "from django.contrib.auth.models import User; from instances.models import Membership, Organization; "
    "acme = Organization.objects.create(name='Acme'); "
    f"olga = User.objects.create_user('olga', 'olga@example.com', {PASSWORD!r}); "
    "Membership.objects.create(account=olga, organization=acme, role='operator')"
)


@dataclass
class Signing:
    """The service, and the issuer that it uses."""

    url: str
    issuer: str
    browser: Any

    def put(self, person: str, *groups: str) -> None:
        """Put a person into these groups and out of all others."""
        with urllib.request.urlopen(f"{self.issuer}/groups/{person}/{','.join(groups)}") as answer:  # noqa: S310  (ours)
            assert answer.read() == b"ok"

    @contextmanager
    def window(self) -> Iterator[Window]:
        """Open a browser of somebody's own."""
        context = self.browser.new_context(viewport=WIDE, reduced_motion="reduce")
        context.route(re.compile("^https://"), lambda route: route.fulfill(body=""))  # fonts of the issuer's pages
        yield Window(context.new_page(), self.url)
        context.close()


@pytest.fixture(scope="module")
def signing(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signing]:
    data, port, issuers = tmp_path_factory.mktemp("issuer"), free_port(), free_port()
    url, issuer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{issuers}"
    program = str(Path(__file__).with_name("issuer.mjs"))
    arguments = [str(NPM), str(issuers), CLIENT, SECRET, f"{url}/app/signin/issuer/back"]
    environment = {
        "CWCONNECT_PRIVATE_NETWORKS": "127.0.0.0/8",
        "CWCONNECT_OIDC_ISSUER": issuer,
        "CWCONNECT_OIDC_CLIENT_ID": CLIENT,
        "CWCONNECT_OIDC_CLIENT_SECRET": SECRET,
        "CWCONNECT_OIDC_NAME": "Acme ID",
        "CWCONNECT_OIDC_GROUPS": "staff=Acme:viewer, ops=Acme:operator",
    }
    with subprocess.Popen(["node", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline().strip() == b"ready"
            with manage(data, "up", "--port", str(port), environment=environment) as up:
                wait_until(lambda: "for the first time" in up.output, 60, "the first address", lambda: up.output)
                ask(data, "shell", "-c", PEOPLE)
                yield Signing(url, issuer, browser)
        finally:
            running.kill()


def sign_in(window: Window, name: str) -> None:
    """Press our button, sign in at the issuer, and agree there that we may know who it is."""
    window.go("/app/signin")
    window.click("Sign in with Acme ID")
    window.page.get_by_placeholder("Enter any login").fill(name)
    window.page.get_by_placeholder("and password").fill("whatever")
    window.click("Sign-in")
    window.click("Continue")


def test_people_sign_in_and_are_refused_and_lose_a_role_at_once(signing: Signing, violations: Check) -> None:
    signing.put("ruth", "ops")
    with signing.window() as ruth, signing.window() as elsewhere, signing.window() as other:
        ruth.go("/app/signin")
        wrong = violations(ruth)
        sign_in(ruth, "ruth")
        ruth.page.wait_for_url(f"{signing.url}/")
        ruth.go("/app/people")
        ruth.wait_for("by the group ops")
        ruth.wait_for("Invite somebody")
        wrong += violations(ruth)

        # The role goes at the issuer; a sign-in elsewhere brings it, and the session that runs has lost it.
        signing.put("ruth", "staff")
        sign_in(elsewhere, "ruth")
        elsewhere.page.wait_for_url(f"{signing.url}/")
        ruth.go("/app/people")
        ruth.wait_for("by the group staff")
        assert not ruth.page.get_by_text("Invite somebody").is_visible()

        # Who is in no group, and who thinks better of it at the issuer.
        sign_in(other, "nobody")
        other.wait_for("nobody has invited you in this browser")
        wrong += violations(other)
        other.page.context.clear_cookies()
        other.go("/app/signin")
        other.click("Sign in with Acme ID")
        other.click("Cancel", role="link")
        other.wait_for("changed your mind")
        assert wrong == []
        assert ruth.complaints == []


def test_ones_own_name_is_linked_with_the_password_and_unlinked(signing: Signing, violations: Check) -> None:
    with signing.window() as olga, signing.window() as elsewhere:
        olga.go("/app/signin?next=/app/issuer")
        olga.page.get_by_label("User name").fill("olga")
        olga.page.get_by_label("Password").fill(PASSWORD)
        olga.click("Sign in", exact=True)
        olga.wait_for("nobody is found by a name or a mail address")
        wrong = violations(olga)
        olga.page.get_by_label("Your password").fill(PASSWORD)
        olga.click("Link with Acme ID")
        olga.page.get_by_placeholder("Enter any login").fill("o.lindqvist")
        olga.page.get_by_placeholder("and password").fill("whatever")
        olga.click("Sign-in")
        olga.click("Continue")
        olga.wait_for("Linked with Acme ID")
        wrong += violations(olga)
        sign_in(elsewhere, "o.lindqvist")
        elsewhere.page.wait_for_url(f"{signing.url}/")
        assert elsewhere.page.get_by_role("link", name="olga").first.is_visible()
        olga.page.get_by_label("Your password").fill(PASSWORD)
        olga.click("Take the link")
        olga.wait_for("The link is taken away")
        assert wrong == []
        assert olga.complaints == []
