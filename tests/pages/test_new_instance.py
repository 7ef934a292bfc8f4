"""The page New instance, against a sandbox."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from cwconnect.connectwise.catalogue import all_resources
from cwconnect.connectwise.only_per_record import unlisted_by_parent
from cwconnect.sandbox import SandboxServer
from instances.models import AuditEntry, Instance
from tests.pages.conftest import text_of
from tests.support.receivers import Receiver, start_receiver
from tests.support.sandboxes import start_sandbox

NEW = "/app/instances/new"
BOXES = re.compile(r'name="watch"\s+value="([\w-]+)"\s*(checked)?')


@pytest.fixture
def sandbox(settings: Settings) -> Iterator[SandboxServer]:
    settings.CONNECTWISE_CLIENT_ID = "a-client-id"
    with start_sandbox(records={"contacts": 30, "incidents": 5}) as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with start_receiver() as server:
        yield server


@pytest.fixture
def typed(sandbox: SandboxServer) -> dict[str, Any]:
    """What an operator types."""
    return {
        "site": "own",
        "base_url": sandbox.url,
        "company": "acme",
        "public_key": "PUB",
        "private_key": "PRIV",
        "events_enabled": "on",
        "callback_url": "http://127.0.0.1:9/",
        "refresh_interval": "5",
        "watch": ["contacts"],
        "name": "Acme",
        "tags": "north, Test, north",
        "filter_nulls": "on",
    }


def test_callbacks_without_an_address_are_refused_beside_their_switch(
    operator: Client, typed: dict[str, Any], settings: Settings
) -> None:
    settings.CALLBACK_URL = settings.PUBLIC_URL = ""
    answer = operator.post(NEW, typed | {"callbacks_enabled": "on"})
    assert answer.status_code == 422
    assert 'id="id_callbacks_enabled_error">This needs an https address' in text_of(answer)
    assert "CWCONNECT_CALLBACK_URL" in text_of(answer)
    assert not Instance.objects.exists()
    settings.CALLBACK_URL = "https://in.example.com"
    assert operator.post(NEW, typed | {"callbacks_enabled": "on"}).status_code == 200
    assert Instance.objects.get().callbacks_enabled
    settings_page = f"/app/instances/{Instance.objects.get().pk}/settings"
    assert 'id="id_callbacks_enabled" checked' in text_of(operator.get(settings_page))
    sent = {"part": "polling", "refresh_interval": "5"}
    operator.post(settings_page, sent)
    assert not Instance.objects.get().callbacks_enabled


def test_writes_are_off_until_somebody_switches_them_on(operator: Client, typed: dict[str, Any]) -> None:
    assert operator.post(NEW, typed).status_code == 200
    instance = Instance.objects.get()
    page = f"/app/instances/{instance.pk}/settings"
    assert not instance.writes_enabled
    assert "Writes on" in text_of(operator.get(page))
    assert 'id="id_writes_enabled" checked' not in text_of(operator.get(page))
    operator.post(page, {"part": "writes", "writes_enabled": "on"})
    assert 'id="id_writes_enabled" checked' in text_of(operator.get(page))
    assert AuditEntry.objects.latest("pk").details == {"writes_enabled": [False, True]}
    operator.post(page, {"part": "writes"})
    assert not Instance.objects.get().writes_enabled
    assert operator.post(NEW, typed | {"writes_enabled": "on", "name": "Another"}).status_code == 200
    assert Instance.objects.get(name="Another").writes_enabled


def test_the_form_has_what_the_product_asked_for(operator: Client) -> None:
    html = text_of(operator.get(NEW))
    for words in ("North America", "Europe", "Australia", "Staging", "Test connection", "/company/contacts"):
        assert words in html


def test_an_instance_is_created_and_its_token_shown_once(operator: Client, typed: dict[str, Any]) -> None:
    answer = operator.post(NEW, typed)
    html = text_of(answer)
    instance = Instance.objects.get()
    assert (instance.name, instance.tags, instance.refresh_interval) == ("Acme", ["north", "Test"], 5)
    assert instance.watching
    assert "its token, shown this once" in html.lower()
    assert "no-store" in answer.headers["Cache-Control"]


def test_the_curl_line_works(operator: Client, typed: dict[str, Any], client: Client) -> None:
    html = operator.post(NEW, typed).content.decode().replace("&#x27;", "'")  # as it is copied: in one line
    line = re.search(r"curl -H 'Authorization: (.+?)' 'http://testserver(.+?)'", html)
    assert line
    answer = client.get(line[2], headers={"Authorization": line[1]})
    assert answer.status_code == 200, answer.content
    assert len(answer.json()) == 1


def test_what_is_missing_is_said_beside_its_field_and_the_rest_is_kept(operator: Client, typed: dict[str, Any]) -> None:
    html = text_of(operator.post(NEW, typed | {"company": "", "callback_url": "http://10.0.0.1/"}))
    assert 'id="id_company_error"' in html
    assert 'value="http://10.0.0.1/"' in html
    assert not Instance.objects.exists()


def test_all_that_is_wrong_is_said_at_once(operator: Client, typed: dict[str, Any]) -> None:
    html = text_of(operator.post(NEW, typed | {"name": "", "company": "", "callback_url": "x", "watch": []}))
    for field in ("name", "company", "callback_url"):
        assert html.count(f'id="id_{field}_error"') == 1
    assert "Choose at least one resource" in html


def test_without_a_callback_url_its_events_are_pulled(operator: Client, typed: dict[str, Any]) -> None:
    assert "pulled by GET /v1/events; nothing is sent" in text_of(operator.get(NEW))
    html = text_of(operator.post(NEW, typed | {"callback_url": ""}))
    instance = Instance.objects.get()
    assert (instance.events_enabled, instance.callback_url) == (True, "")
    assert "There is no callback URL, so nothing is sent" in html


def test_an_address_that_is_not_allowed_is_said_beside_the_callback_url(
    operator: Client, typed: dict[str, Any]
) -> None:
    html = text_of(operator.post(NEW, typed | {"callback_url": "http://10.0.0.1/"}))
    assert 'id="id_callback_url_error"' in html


def test_a_refusal_of_connectwise_is_quoted(operator: Client, typed: dict[str, Any]) -> None:
    html = text_of(operator.post(NEW, typed | {"private_key": "WRONG"}))
    assert "ConnectWise refused the keys." in html
    assert "ConnectWise says:" in html
    for field in ("public_key", "private_key"):
        assert f'id="id_{field}_error">ConnectWise refused the keys.' in html
    assert not Instance.objects.exists()


def test_options_become_the_configuration(operator: Client, typed: dict[str, Any]) -> None:
    chosen = {
        "contacts.detectDeletes": "on",
        "contacts.pageSize": "50",
        "contacts.datesConfiguration.updatedDateTimezone": "EST",
    }
    operator.post(NEW, typed | chosen)
    configuration = Instance.objects.get().resource_polls.get().configuration
    assert configuration["detectDeletes"] is True
    assert configuration["pageSize"] == 50
    assert configuration["datesConfiguration"]["updatedDateTimezone"] == "EST"


def test_json_takes_the_place_of_the_options(operator: Client, typed: dict[str, Any]) -> None:
    operator.post(NEW, typed | {"contacts.json": '{"pageSize": 7}', "contacts.detectDeletes": "on"})
    assert Instance.objects.get().resource_polls.get().configuration == {"pageSize": 7}


@pytest.mark.parametrize(
    ("json", "words"),
    [
        ("{", "is no valid JSON at line 1, column 2: a name in double quotes is expected here."),
        ('{"pageSize": 7\r\n "idField": "id"}', "at line 2, column 2: a comma or a closing bracket is expected here."),
        ("7", "must be an object"),
        ('{"pageSizes": 7}', "pageSizes: This is no key"),
    ],
)
def test_wrong_json_is_said_beside_its_resource(operator: Client, typed: dict[str, Any], json: str, words: str) -> None:
    html = text_of(operator.post(NEW, typed | {"contacts.json": json}))
    assert words in html
    assert '<a href="#id_contacts.json">' in html


def test_without_a_resource_nothing_is_created(operator: Client, typed: dict[str, Any]) -> None:
    assert "Choose at least one resource" in text_of(operator.post(NEW, typed | {"watch": []}))


def test_a_resource_beside_the_common_ones_is_watched_by_its_box(operator: Client, typed: dict[str, Any]) -> None:
    page = text_of(operator.get(NEW))
    assert page.count('name="watch"') == len(all_resources())
    assert "id_service-boards.json" not in page  # the page would be heavy with the options of all
    assert len(page) < 100_000
    operator.post(NEW, typed | {"watch": ["contacts", "service-boards"]})
    polls = {poll.name: poll.configuration for poll in Instance.objects.get().resource_polls.all()}
    assert polls.keys() == {"contacts", "service-boards"}
    assert polls["service-boards"]["url"].startswith("/hubs/crm/service-boards?where=lastUpdated>")


def test_a_chosen_one_of_the_many_comes_back_with_its_options(operator: Client, typed: dict[str, Any]) -> None:
    page = text_of(operator.post(NEW, typed | {"watch": ["service-boards"], "service-boards.json": '{"pageSize": 0}'}))
    assert re.search(r'value="service-boards"\s+checked', page)
    assert "id_service-boards.json" in page
    assert page.count('value="service-boards"') == 1
    assert not Instance.objects.exists()
    asked = text_of(operator.get(f"{NEW}?watch=service-boards"))
    assert [value for value, on in BOXES.findall(asked) if on] == ["service-boards"]
    assert BOXES.findall(asked)[0][0] == "service-boards"


def test_the_page_says_what_is_only_beneath_a_record(operator: Client) -> None:
    page = text_of(operator.get(NEW))
    for parent, names in unlisted_by_parent().items():
        assert f"{', '.join(names)} <span" in page, parent
    assert "only beneath a ticket</span>" in page


def test_a_connection_that_works_says_to_whom(operator: Client, typed: dict[str, Any]) -> None:
    html = text_of(operator.post(f"{NEW}/test", typed))
    assert re.search(r"Connected to acme, version v.+: 30 contacts", html)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"private_key": "WRONG"}, "ConnectWise refused the keys"),
        ({"private_key": "WRONG"}, '<a href="#id_private_key">Private key</a>'),
        ({"company": "nobody"}, "knows no company “nobody”"),
        ({"company": "nobody"}, '<a href="#id_company">Company</a>'),
        ({"base_url": "http://127.0.0.1:9/v4_6_release/apis/3.0"}, "can&#x27;t be reached"),
        ({"company": ""}, "This field is required"),
        ({"base_url": "http://10.1.2.3/"}, "can&#x27;t be used"),
    ],
)
def test_a_connection_that_fails_says_why(
    operator: Client, typed: dict[str, Any], change: dict[str, str], words: str
) -> None:
    html = text_of(operator.post(f"{NEW}/test", typed | change))
    assert words in html
    assert not re.search(r"\bPRIV\b", html)


def test_a_connection_without_a_client_id_says_so(operator: Client, typed: dict[str, Any], settings: Settings) -> None:
    settings.CONNECTWISE_CLIENT_ID = ""
    html = text_of(operator.post(f"{NEW}/test", typed))
    assert "Give a client ID: none is configured for this service." in html
    assert '<a href="#id_client_id">' in html


def test_each_resource_is_counted(operator: Client, typed: dict[str, Any], sandbox: SandboxServer) -> None:
    sandbox.store.fail_next(path="incidents", status=403, body={"code": "Security", "message": "No"})
    html = text_of(operator.post(f"{NEW}/counts", typed))
    counts = dict(re.findall(r'id="count-(\S+)"[^>]*>([^<]*)<', html))
    assert (counts["contacts"], counts["incidents"]) == ("30 records", "not readable with these keys")
    assert len(counts) == text_of(operator.get(NEW)).count('id="count-')


def test_nothing_is_counted_before_the_connection_is_given(operator: Client, typed: dict[str, Any]) -> None:
    assert operator.post(f"{NEW}/counts", typed | {"company": ""}).status_code == 204


def test_a_signature_key_is_made_ready(operator: Client) -> None:
    keys = [re.search(r'value="(whsec_[^"]+)"', text_of(operator.get(NEW))) for _ in range(2)]
    assert len({key[1] for key in keys if key}) == 2


def test_a_test_is_sent_before_anything_is_stored(operator: Client, typed: dict[str, Any], receiver: Receiver) -> None:
    typed |= {"callback_url": receiver.url, "company": "", "private_key": "", "callback_headers": "X-Key: hush"}
    html = text_of(operator.post(f"{NEW}/send-test", typed | {"signature_key": "s3cret"}))
    assert "the receiver answered 204" in html
    assert "Sent with what is typed here; nothing is stored yet." in html
    assert "hush" not in html
    (got,) = receiver.got
    assert (got.headers["elements-webhook-test"], got.headers["x-key"]) == ("true", "hush")
    signature = base64.b64encode(hmac.new(b"s3cret", got.body, hashlib.sha256).digest()).decode()
    assert got.headers["elements-webhook-signature"] == f"sha256={signature}"
    assert got.json["message"]["raw"]["contacts"] == [{"id": 1}]
    assert not Instance.objects.exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [("", "Give a callback URL first"), ("http://10.0.0.1/", "can&#x27;t be used"), ("x", "Callback URL")],
)
def test_a_test_that_can_not_be_sent_names_the_field(
    operator: Client, typed: dict[str, Any], url: str, words: str
) -> None:
    typed.pop("events_enabled")
    html = text_of(operator.post(f"{NEW}/send-test", typed | {"callback_url": url}))
    assert "Not sent yet." in html
    assert words in html
    assert '<a href="#id_callback_url">Callback URL</a>' in html


def test_a_viewer_may_not_create(viewer: Client) -> None:
    for answer in (viewer.get(NEW), viewer.post(NEW, {})):
        assert answer.status_code == 403
        assert "This takes an operator" in text_of(answer)


def test_the_options_of_a_resource_are_asked_for_when_they_are_unfolded(operator: Client) -> None:
    assert 'name="contacts.json"' in text_of(operator.get(NEW))
    html = text_of(operator.get(f"{NEW}/options", {"name": "contacts"}))
    assert 'name="contacts.trackChanges"' in html
    assert 'name="contacts.idField" value="id"' in html
