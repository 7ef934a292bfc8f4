"""Makes the README's pictures: `python -m tests.browser.screenshots`, with Debian's chromium, in about a minute.

A real `manage.py up --demo` serves them. Beside the demo's own instance there are three more: one with every kind of
event, one whose keys are refused, one whose delivery is paused.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
from playwright.sync_api import Page, sync_playwright

from cwconnect.sandbox import SandboxServer
from tests.seed import example_body
from tests.support.receivers import Receiver, start_receiver
from tests.support.sandboxes import start_sandbox
from tests.support.services import ROOT, Service, environment_of, manage, wait_until

CHROMIUM = "/usr/bin/chromium"
PICTURES = Path(__file__).parent / "screenshots"
WIDTH, HEIGHT = 1200, 800
KEYS = {"public_key": "Xk2mPq8sVd4n", "private_key": "Zr7tLw3cHb9y"}
SIGNATURE_KEY = "a long enough signature key"


class Scene:
    """The service with its instances."""

    def __init__(self, data: Path, url: str, up: Service) -> None:
        self.data, self.url, self.up = data, url, up
        found = re.search(r"user (\w+), password (\w+)", up.output)
        authorization = re.search(r"Authorization: (User \S+, Organization \S+)", up.output)
        assert found
        assert authorization
        self.user, self.password = found[1], found[2]
        from cwconnect.site.demo import Api  # it wants Django set up

        self.api = Api(url, authorization[1])

    def watch(self, name: str, sandbox: SandboxServer, receiver: Receiver, *tags: str) -> int:
        """Create an instance that looks for deletes and tracks changes; give its id."""
        keys = {
            "public__key": KEYS["public_key"],
            "private__key": KEYS["private_key"],
            "connectwise__clientID": "a-client-id",
            "event__notification__callback__url": receiver.url,
            "event__notification__signature__key": SIGNATURE_KEY,
        }
        body = example_body(sandbox.url, **keys) | {"name": name, "tags": list(tags)}
        polls = body["configuration"]["event.poller.configuration"]
        polls["contacts"] |= {"detectDeletes": True, "trackChanges": True}
        polls["incidents"] = {"trackChanges": True}
        return int(self.api.ask("POST", "/instances", body)["id"])

    def run(self, *command: object) -> None:
        """Run a command of the service to its end, whatever comes of it: refused keys are meant."""
        arguments = [sys.executable, "manage.py", *map(str, command)]
        opened = {"CWCONNECT_PRIVATE_NETWORKS": "127.0.0.0/8"}
        environment = environment_of(self.data) | opened
        subprocess.run(arguments, cwd=ROOT, env=environment, check=False, capture_output=True, timeout=90)


@contextmanager
def scene() -> Iterator[tuple[Scene, int]]:
    """Set it all up; give the scene and the instance with every kind of event."""
    with (
        tempfile.TemporaryDirectory(prefix="cwconnect-screenshots-") as folder,
        start_sandbox(records={"contacts": 1200, "incidents": 300}, **KEYS) as northwind,
        start_sandbox(records={"contacts": 900, "incidents": 100}, **KEYS) as globex,
        start_sandbox(records={"contacts": 600, "incidents": 100}, **KEYS) as initech,
        start_receiver() as well,
        start_receiver() as gone,
    ):
        from cwconnect.site.demo import free_port

        data, port = Path(folder), free_port()
        with manage(data, "up", "--demo", "--port", str(port)) as up:
            wait_until(lambda: "Change one" in up.output, 90, "the demo", lambda: up.output)
            made = Scene(data, f"http://127.0.0.1:{port}", up)
            number = made.watch("Northwind Service Desk", northwind, well, "production")
            _make_every_kind(made, number, northwind)
            _refuse(made, made.watch("Globex", globex, well), globex)
            _pause(made, made.watch("Initech", initech, gone), initech, gone)
            up.wait_for_news(60)
            yield made, number
            made.api.close()


def _make_every_kind(made: Scene, number: int, sandbox: SandboxServer) -> None:
    made.run("deletes", number, "--sweep")  # the baseline
    for record_id in range(1, 30, 3):
        sandbox.store.change("contacts", record_id, {"title": "Account Manager"})
    for record_id in range(1, 20, 4):
        sandbox.store.change("incidents", record_id, {"summary": "Printer on the second floor is on fire"})
    sandbox.store.create("contacts", {"firstName": "Grace", "lastName": "Hopper", "title": "Rear Admiral"})
    sandbox.store.delete("contacts", 17)
    made.run("poll", number)
    made.run("deletes", number, "--sweep")
    sandbox.store.change("contacts", 4, {"title": "Head of Service", "firstName": "Ada"})
    made.run("poll", number)


def _refuse(made: Scene, number: int, sandbox: SandboxServer) -> None:
    sandbox.store.set_keys("another", "another")
    made.run("poll", number)


def _pause(made: Scene, number: int, sandbox: SandboxServer, receiver: Receiver) -> None:
    receiver.answer = lambda got: (410, {})
    for record_id in range(1, 40):
        sandbox.store.change("contacts", record_id, {"title": "Engineer"})
    made.run("poll", number)


def take(made: Scene, number: int, page: Page) -> None:
    """Take each picture, as somebody signed in."""
    page.goto(f"{made.url}/app/signin")
    page.get_by_label("User name").fill(made.user)
    page.get_by_label("Password").fill(made.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Events per hour").first.wait_for()
    _save(page, "overview")
    page.emulate_media(color_scheme="dark")
    _save(page, "overview-dark")
    page.emulate_media(color_scheme="light")
    page.goto(f"{made.url}/app/instances/{number}")
    _save(page, "instance")
    page.goto(f"{made.url}/app/events?instance={number}&object=4")
    page.locator("table a", has_text="contacts/4").first.click()
    page.get_by_text("ConnectWise changed").first.wait_for()
    _save(page, "event", height=1060)
    page.goto(f"{made.url}/app/deliveries")
    _save(page, "deliveries")
    page.goto(f"{made.url}/app/instances/{number}/verify")
    page.get_by_role("button", name=re.compile("^Verify ")).first.click()
    page.locator("#verified [hx-get]").first.wait_for(state="detached")  # the workers compare each resource
    _save(page, "verify")
    page.goto(f"{made.url}/app/instances/new")
    page.get_by_label("Company", exact=True).fill("mycompany")
    _save(page, "new-instance")


def _save(page: Page, name: str, *, height: int = HEIGHT) -> None:
    PICTURES.mkdir(exist_ok=True)
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


def main() -> None:
    """Set the scene and take the pictures."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    with scene() as (made, number), sync_playwright() as playwright:
        chromium: Any = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        take(made, number, chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT}, reduced_motion="reduce"))
        chromium.close()
    for picture in sorted(PICTURES.glob("*.png")):
        sys.stdout.write(f"{picture.relative_to(ROOT)}  {picture.stat().st_size / 1024:.0f} kB\n")


if __name__ == "__main__":
    main()
