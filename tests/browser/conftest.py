"""A real chromium before a real service, with a sandbox and a receiver; skipped in words where chromium is missing.

The service is shared by all tests here, and so is one instance; each test leaves both as it found them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from cwconnect.sandbox import SandboxServer
from cwconnect.site.demo import free_port
from tests.support.receivers import Receiver, start_receiver
from tests.support.required import SERVICES_REQUIRED, lengthy
from tests.support.sandboxes import start_sandbox
from tests.support.services import Service, ask, manage, wait_until

CHROMIUM = Path("/usr/bin/chromium")
PASSWORD = "a long enough password"
_PATIENCE = 30_000  # milliseconds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here, and have them run as they stand: what one leaves in the service, the next one finds.

    They take a quarter of all the time that tests take.
    """
    here = Path(__file__).parent
    ours = [item for item in items if here in item.path.parents]
    for item in sorted(ours, key=lambda item: (item.path, item.location[1] or 0)):
        item.add_marker(pytest.mark.browser)
        item.add_marker(lengthy)
        items.remove(item)
        items.append(item)


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Chromium, headless. Closed with the last test here: its loop of events is one that no database is asked in."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        if SERVICES_REQUIRED:
            raise
        pytest.skip("playwright is not installed (it is in the extra dev).")
    if not CHROMIUM.exists() and not SERVICES_REQUIRED:
        pytest.skip(f"There is no {CHROMIUM}; Debian's package chromium has it.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Window:
    """A page of the browser that remembers what its console complained of."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        page.set_default_timeout(_PATIENCE)
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def go(self, path: str) -> None:
        """Open a page."""
        self.page.goto(self.url + path)

    def click(self, name: str, *, role: str = "button", exact: bool = False) -> None:
        """Click the first button (or link) of that name."""
        self.page.get_by_role(role, name=name, exact=exact).first.click()

    def wait_for(self, text: str) -> None:
        """Wait until a text is to be seen; the failure shows what was seen instead."""
        from playwright.sync_api import TimeoutError as NotSeenError

        try:
            self.page.get_by_text(text).first.wait_for()
        except NotSeenError as error:
            raise AssertionError(f"{text!r} is not on {self.page.url}:\n{self.page.inner_text('body')}") from error


Check = Callable[..., list[str]]
Looks = Sequence[tuple[dict[str, int], str]]  # a window's size, and a colour scheme
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LOOKS: Looks = tuple(product((NARROW, WIDE), ("dark", "light")))
AT_A_GLANCE = LOOKS[-1:]
# Widths at which nothing may stick out either: the narrowest phone, 1280 px at 200 % and at 125 %. No colours, no axe.
NARROW_WIDTHS = (320, 640, 1024)
# What a colour scheme can make wrong in a document that is right.
_OF_SCHEMES = ["color-contrast", "link-in-text-block", "scrollable-region-focusable"]
_AXE = """rules => axe.run({
    resultTypes: ['violations'], preload: false, ...(rules && {runOnly: rules})
}).then((all) => all.violations)"""


@pytest.fixture(scope="package")
def violations() -> Check:
    """Return what axe-core finds on the page that is open: on a phone and on a desktop, in dark and in light."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def check(window: Window, looks: Looks = LOOKS) -> list[str]:
        page = window.page
        page.evaluate(axe.axe_script)
        found: dict[str, None] = {}
        for size, scheme in looks:
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            for each in page.evaluate(_AXE, _OF_SCHEMES if scheme == "dark" else None):
                found |= {f"{each['id']}: {node['html']}": None for node in each["nodes"]}
            found |= dict.fromkeys(_too_wide(page, size["width"]))
        for width in NARROW_WIDTHS:
            page.set_viewport_size({"width": width, "height": 700})
            found |= dict.fromkeys(_too_wide(page, width))
        return list(found)

    return check


def _too_wide(page: Any, width: int) -> list[str]:
    """Return what is to be said of a page that is wider than its window of `width` pixels."""
    wide = page.evaluate("document.documentElement.scrollWidth")
    return [f"it is {wide} wide in a window of {width}"] if wide > width else []


@dataclass
class Site:
    """The service under test, what stands around it, and the one instance between them."""

    data: Path
    url: str
    sandbox: SandboxServer
    receiver: Receiver
    cookies: Any = None
    instance: int = 0

    def sql(self, code: str) -> None:
        """Run a line of Python in the service's own shell, where no page could do it."""
        ask(self.data, "shell", "-c", code)

    def delete(self, name: str) -> None:
        """Delete the instance of that name, as its page does."""
        self.sql(
            "from instances.models import Instance; from instances.provisioning import delete_instance; "
            f"delete_instance(Instance.objects.get(name={name!r}))"
        )

    def change(self, record_id: int, title: str) -> None:
        """Change a contact in ConnectWise."""
        self.sandbox.store.change("contacts", record_id, {"title": title})


def fill_in(window: Window, site: Site, name: str) -> None:
    """Create an instance as an operator does."""
    page = window.page
    window.go("/app/instances/new")
    page.get_by_label("Site", exact=True).select_option("own")
    page.get_by_label("ConnectWise URL").fill(site.sandbox.url)
    page.get_by_label("Company", exact=True).fill("acme")
    page.get_by_label("Public key").fill("PUB")
    page.get_by_label("Private key").fill("PRIV")
    window.click("Test connection")
    window.wait_for("Connected to acme")
    window.click("Continue: Notify")
    page.get_by_label("Callback URL").fill(site.receiver.url)
    key = page.get_by_role("textbox", name="Signature key")
    made = key.input_value()
    window.click("Generate")
    assert key.input_value().startswith("whsec_")
    assert key.input_value() != made
    window.click("Send test")
    window.wait_for("It arrived: the receiver answered 204")
    window.click("Continue: Watch")
    window.wait_for("30 records")
    page.get_by_label("Search").fill("invoices")
    assert not page.get_by_role("checkbox", name="contacts", exact=True).is_visible()
    page.get_by_label("Search").fill("")
    page.get_by_role("checkbox", name="organizations", exact=True).uncheck()
    window.click("Continue: Name")
    page.get_by_label("Name", exact=True).fill(name)
    window.click("Create instance")
    window.wait_for("Its token, shown this once")
    page.wait_for_url(re.compile(r"instances/\d+$"))  # the page's script puts its own address there


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, Service]]:
    """`manage.py up`, freshly installed."""
    data, port = tmp_path_factory.mktemp("browser"), free_port()
    environment = {"CWCONNECT_PRIVATE_NETWORKS": "127.0.0.0/8", "CWCONNECT_CONNECTWISE_CLIENT_ID": "a-client-id"}
    with manage(data, "up", "--port", str(port), environment=environment) as up:
        wait_until(lambda: "for the first time" in up.output, 60, "the first account's address", lambda: up.output)
        yield data, f"http://127.0.0.1:{port}", up


@pytest.fixture(scope="package")
def site(browser: Any, service: tuple[Path, str, Service], violations: Check) -> Iterator[Site]:
    """The service with its first account, made by the printed address, and its first instance."""
    data, url, up = service
    address = re.search(r"http://\S+code=\w+", up.output)
    assert address
    with start_sandbox(records={"contacts": 30, "incidents": 5}) as sandbox, start_receiver() as receiver:
        site = Site(data, url, sandbox, receiver)
        context = browser.new_context()
        window = Window(context.new_page(), url)
        window.page.goto(address[0])
        assert violations(window) == []
        window.page.get_by_label("User name").fill("olga")
        window.page.get_by_label("Password").fill(PASSWORD)
        window.click("Begin")
        window.wait_for("Welcome")
        fill_in(window, site, "Acme")
        number = re.search(r"instances/(\d+)$", window.page.url)
        assert number, window.page.url
        assert violations(window) == []  # the token is shown this once
        site.instance, site.cookies = int(number[1]), context.storage_state()
        context.close()
        assert window.complaints == []
        yield site


@pytest.fixture
def window(browser: Any, site: Site) -> Iterator[Window]:
    """A window on the service, signed in; whatever its console complained of fails the test."""
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce", storage_state=site.cookies)
    window = Window(context.new_page(), site.url)
    yield window
    context.close()
    assert window.complaints == []


@pytest.fixture
def stranger(browser: Any, site: Site) -> Iterator[Window]:
    """A window of somebody not signed in."""
    context = browser.new_context(viewport=WIDE)
    yield Window(context.new_page(), site.url)
    context.close()
