"""Forms in a real browser: where the focus goes when something is wrong, and a poll's fields in step with its JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser.conftest import Check, Site, Window

pytestmark = pytest.mark.timeout(180)


def focused(window: Window) -> str:
    """Return the id of what has the focus, or its classes."""
    return str(window.page.evaluate("document.activeElement.id || document.activeElement.className"))


def test_a_summary_takes_the_focus_and_its_links_lead_by_key_to_what_is_folded(
    window: Window, violations: Check
) -> None:
    window.go("/app/instances/new")
    page = window.page
    page.evaluate("document.querySelectorAll('.part').forEach((each) => { each.open = true })")
    page.get_by_label("Events on").uncheck()
    page.get_by_text("Headers and Basic authentication").click()
    page.get_by_label("Further headers").fill("no header")
    page.get_by_text("Headers and Basic authentication").click()
    window.click("Create instance")
    window.wait_for("Nothing was done yet")
    assert "summary" in focused(window)
    assert page.title() == "Error: New instance · cwconnect"
    assert violations(window) == []
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert focused(window) == "id_company"
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = false })")
    link = page.get_by_role("link", name="Further headers")
    link.focus()
    page.keyboard.press("Enter")
    assert focused(window) == "id_callback_headers"
    assert page.get_by_label("Further headers").is_visible()
    window.complaints.clear()  # chromium logs the answer's 422


def test_json_that_cannot_be_read_is_seen_at_once(window: Window, site: Site, violations: Check) -> None:
    window.go(f"/app/instances/{site.instance}/resources/edit/contacts")
    window.page.get_by_text("Edit as JSON").click()
    window.page.locator("[data-poll-json]").fill('{"pageSize": 7\n "idField": "id"}')
    window.wait_for("Until it can, the fields wait.")
    window.click("Save")
    window.wait_for("line 2, column 2: a comma or a closing bracket is expected here.")
    assert "summary" in focused(window)
    assert window.page.title().startswith("Error: ")
    assert violations(window) == []
    assert window.page.get_by_label("Leave out what was not updated since").is_checked()
    window.click("All of it as JSON", role="link")
    assert focused(window) == "id_contacts.json"
    window.complaints.clear()


def in_step(page: Any) -> dict[str, Any]:
    """Return what the JSON says."""
    found: dict[str, Any] = json.loads(page.locator("[data-poll-json]").first.input_value())
    return found


@pytest.mark.parametrize("path", ["/app/instances/new", "/app/instances/{}/resources/edit/contacts"])
def test_fields_and_json_are_in_step(window: Window, site: Site, path: str) -> None:
    window.go(path.format(site.instance))
    page = window.page
    if path.endswith("new"):
        page.evaluate("document.querySelectorAll('.part').forEach((each) => { each.open = true })")
        page.get_by_text("Options of contacts").click()
    identifier = page.get_by_label("ID field")
    identifier.wait_for()
    before = in_step(page)
    assert identifier.input_value() == before["idField"]
    identifier.fill("identifier")
    page.get_by_label("Page size").fill("7")
    page.get_by_label("Look for deleted records").check()
    page.get_by_label("Created date: field").fill("")
    dates = {key: value for key, value in before["datesConfiguration"].items() if key != "createdDateField"}
    typed = {"idField": "identifier", "pageSize": 7, "detectDeletes": True, "datesConfiguration": dates}
    assert in_step(page) == before | typed
    page.get_by_text("Edit as JSON").first.click()
    area = page.locator("[data-poll-json]").first
    unknown = {"nobody": {"knows": [1, None]}, "pageSize": "9", "filterByUpdateDate": "no", "trackChanges": "yes"}
    area.fill(json.dumps(unknown))
    assert identifier.input_value() == ""
    assert page.get_by_label("Page size").input_value() == "9"
    assert page.get_by_label("Record which fields changed").is_checked()
    assert not page.get_by_label("Leave out what was not updated since").is_checked()
    page.get_by_label("Leave out what was not updated since").check()
    page.get_by_label("Page size").fill("")
    left = {key: value for key, value in unknown.items() if key != "pageSize"}
    assert in_step(page) == left | {"filterByUpdateDate": True}
    page.on("dialog", lambda dialog: dialog.accept())  # what was typed is left


def test_a_resource_is_configured_by_its_fields_without_a_script(browser: Any, site: Site) -> None:
    context = browser.new_context(java_script_enabled=False, storage_state=site.cookies)
    page = context.new_page()
    way = f"{site.url}/app/instances/{site.instance}/resources/edit/contacts"
    for size in ("500", ""):
        page.goto(way)
        page.get_by_label("Page size").fill(size)
        page.get_by_role("button", name="Save").click()
        page.get_by_text("contacts is saved.").wait_for()
        page.goto(way)
        assert page.get_by_label("Page size").input_value() == size
    context.close()


def test_only_what_is_there_can_be_copied(window: Window, site: Site) -> None:
    window.go(f"/app/instances/{site.instance}/settings")
    copy = window.page.get_by_role("button", name="Copy the signature key")
    assert copy.count() == 0
    window.click("Generate")
    copy.wait_for()
    window.page.get_by_role("textbox", name="Signature key").fill("")
    copy.wait_for(state="hidden")
    window.page.on("dialog", lambda dialog: dialog.accept())
