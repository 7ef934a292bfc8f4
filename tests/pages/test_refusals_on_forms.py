"""What is refused at Create and Save: in the words of the labels, and marked; for all keys and all refusals."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from cwconnect.connectwise import errors
from cwconnect.connectwise.errors import ConnectWiseError
from instances.configuration.config_keys import KEYS, POLLS
from instances.configuration.values import ConfigurationError
from instances.models import Instance
from instances.pages import new_instance, resources, settings
from instances.pages.forms import SITES
from instances.pages.poll_fields import POLL_KEYS
from instances.watch_starts import ConnectWiseRefusedError
from tests.support.page_forms import Page
from tests.support.polled_instance import PolledInstance

NEW = "/app/instances/new"
WITHOUT_A_FIELD = {"event.vendor.type"}  # it has one value
ON_SETTINGS = [key for key in KEYS if key.name not in {POLLS, "event.notification.enabled"} | WITHOUT_A_FIELD]
PARTS: dict[str, dict[str, str]] = {
    "connection": {"site": "own", "base_url": "http://127.0.0.1:9/", "company": "acme"},
    "notify": {"callback_url": "http://127.0.0.1:9/"},
    "polling": {"refresh_interval": "5"},
    "name": {"name": "Acme"},
}


def typed(**more: Any) -> dict[str, Any]:
    """Return what is typed for a new instance."""
    connection = {"site": "own", "base_url": "http://127.0.0.1:9/", "company": "acme", "client_id": "an id"}
    keys = {"public_key": "PUB", "private_key": "PRIV", "watch": ["contacts"], "name": "Acme"}
    return connection | keys | {"callback_url": "http://127.0.0.1:9/", "refresh_interval": "5"} | more


def read(answer: Any) -> Page:
    """Read a page that refuses something; no word of the API stands on it."""
    assert answer.status_code == 422
    page = Page(answer.content.decode())
    (main,) = page.of_tag("main")
    assert [key.name for key in KEYS if "." in key.name and key.name in main.text] == []
    assert "baseUrl" not in main.text
    return page


def marked(page: Page) -> set[str]:
    """Return the names of the fields that are marked as wrong, each with what is wrong beside it."""
    fields = [each for each in page.elements if each.get("aria-invalid") == "true"]
    for each in fields:
        assert page.by_id(f"{each.get('id')}_error"), each.get("id")
    return {each.get("id").removeprefix("id_") for each in fields}


def refuse(monkeypatch: pytest.MonkeyPatch, module: Any, function: str, error: Exception) -> None:
    """Have a rule refuse whatever it is asked."""

    def refusing(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(module, function, refusing)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_a_key_that_is_refused_at_create_is_marked_and_called_as_its_label(
    operator: Client, monkeypatch: pytest.MonkeyPatch, key: Any
) -> None:
    error = ConfigurationError({key.name: "must be given anew, since event.notification.callback.url is another"})
    refuse(monkeypatch, new_instance, "read_configuration", error)
    page = read(operator.post(NEW, typed()))
    assert "since “Event Notification Callback URL” is another." in page.of_class("summary")[0].text
    assert marked(page) == ({key.field} if key.name not in WITHOUT_A_FIELD else set())
    assert key.name not in WITHOUT_A_FIELD or f"{key.title}: This must" in page.of_class("summary")[0].text


@pytest.mark.parametrize("part", PARTS)
def test_a_key_that_is_refused_at_save_is_marked_in_whichever_part_it_stands(
    watched: PolledInstance, operator: Client, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    Instance.objects.update(base_url="http://127.0.0.1:9")
    for key in ON_SETTINGS:
        refuse(monkeypatch, settings, "read_configuration", ConfigurationError({key.name: "can't be used"}))
        page = read(operator.post(f"/app/instances/{watched.instance.pk}/settings", PARTS[part] | {"part": part}))
        assert marked(page) == {key.field}, key.name
        (summary,) = page.of_class("summary")
        assert "1 field needs another look" in summary.text


def test_every_key_of_a_poll_is_marked_beside_its_field(
    watched: PolledInstance, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in POLL_KEYS:
        for place in key.places:
            error = ConfigurationError({f"{POLLS}.contacts.{place}": "must be a whole number"})
            refuse(monkeypatch, new_instance, "read_configuration", error)
            refuse(monkeypatch, resources, "read_configuration", error)
            for path, sent in (
                (NEW, typed()),
                (f"/app/instances/{watched.instance.pk}/resources/edit/contacts", {"enabled": "on"}),
            ):
                page = read(operator.post(path, sent))
                assert marked(page) == {f"contacts.{key.name}"}, (path, place)
                assert "This must be a whole number." in page.of_class("summary")[0].text


REFUSALS: dict[type[ConnectWiseError], tuple[str, set[str]]] = {
    errors.Unauthorized: ("ConnectWise refused the keys.", {"public_key", "private_key"}),
    errors.Forbidden: ("their security role may not read contacts", {"contacts.url"}),
    errors.NotFound: ("ConnectWise has no list as contacts asks for it", {"contacts.url", "base_url"}),
    errors.Rejected: ("ConnectWise has no list as contacts asks for it", {"contacts.url"}),
    errors.Unreachable: ("The site can't be reached.", {"base_url"}),
    errors.NoPublicAddress: ("The site has no public address.", {"base_url"}),
    errors.RateLimited: ("ConnectWise limits requests just now.", set()),
    errors.ServerFault: ("ConnectWise did not answer as it should.", {"base_url"}),
    errors.BadAnswer: ("ConnectWise did not answer as it should.", {"base_url"}),
}


def refusal(kind: type[ConnectWiseError], words: str = "Its own words. See public.key.") -> Any:
    """Make ConnectWise's refusal of contacts."""
    error = kind(words, status=None if kind in (errors.Unreachable, errors.NoPublicAddress) else 418)
    return ConnectWiseRefusedError(
        f"{POLLS}.contacts: refused.", error=error, resource="contacts", company="acme", sent_client_id=True
    )


def test_no_kind_of_refusal_is_forgotten() -> None:
    assert set(ConnectWiseError.__subclasses__()) == REFUSALS.keys()


@pytest.mark.parametrize("kind", REFUSALS, ids=lambda kind: kind.__name__)
def test_what_connectwise_refuses_is_said_as_the_test_of_the_connection_says_it(
    watched: PolledInstance, operator: Client, monkeypatch: pytest.MonkeyPatch, kind: type[ConnectWiseError]
) -> None:
    words, fields = REFUSALS[kind]
    refuse(monkeypatch, new_instance, "create_instance", refusal(kind))
    page = read(operator.post(NEW, typed()))
    (summary,) = page.of_class("summary")
    assert words in summary.text
    assert "ConnectWise says: “Its own words. See “Public Key”.”" in summary.text
    assert marked(page) == fields
    refuse(monkeypatch, settings, "change_instance", refusal(kind))
    sent = PARTS["connection"] | {"part": "connection", "base_url": watched.sandbox.url}
    page = read(operator.post(f"/app/instances/{watched.instance.pk}/settings", sent))
    assert words in page.of_class("summary")[0].text
    assert marked(page) == {field for field in fields if "." not in field}


@pytest.mark.parametrize(
    ("words", "fields"),
    [("Cannot route. Codebase/company is invalid.", {"company", "base_url"}), ("clientId is unknown", {"client_id"})],
)
def test_the_part_of_the_login_that_is_refused_is_marked(
    operator: Client, monkeypatch: pytest.MonkeyPatch, words: str, fields: set[str]
) -> None:
    refuse(monkeypatch, new_instance, "create_instance", refusal(errors.Unauthorized, words))
    assert marked(read(operator.post(NEW, typed()))) == fields
    of_a_known_site = operator.post(NEW, typed(site=SITES[0][0]))
    assert marked(read(of_a_known_site)) == {("site" if field == "base_url" else field) for field in fields}


def test_a_test_on_the_overview_leads_to_the_settings(watched: PolledInstance, operator: Client) -> None:
    watched.store.fail_next(status=401, body={"code": "Unauthorized", "message": "Wrong keys"})
    number = watched.instance.pk
    page = Page(operator.post(f"/app/instances/{number}/settings/test").content.decode())
    ways = [link.get("href") for link in page.of_tag("a")]
    assert ways == [f"/app/instances/{number}/settings#id_{name}" for name in ("public_key", "private_key")]
    there = Page(operator.get(f"/app/instances/{number}/settings").content.decode())
    assert all(there.by_id(way.partition("#")[2]) for way in ways)


@pytest.mark.parametrize(("configured", "needed"), [("", True), ("the service's own", False)])
def test_a_client_id_is_required_where_none_is_configured(
    operator: Client, settings: Settings, configured: str, needed: bool
) -> None:
    settings.CONNECTWISE_CLIENT_ID = configured
    page = Page(operator.get(NEW).content.decode())
    field = page.by_id("id_client_id")
    assert field
    assert ("required" in field.attributes) is needed
    (label,) = [each for each in page.of_tag("label") if each.get("for") == "id_client_id"]
    assert ("optional" not in label.text) is needed
    if needed:
        answer = operator.post(NEW, typed(client_id=""))
        assert "client_id" in marked(read(answer))
