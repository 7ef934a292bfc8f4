"""Characters that nobody sees are refused by the name of their field, whichever way a text comes in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from cwconnect.core import env
from instances.configuration.config_keys import KEYS
from instances.configuration.wire import config_of
from instances.models import Instance, Organization, ResourcePoll
from instances.provisioning import change_instance
from tests.conftest import Tenant
from tests.pages.conftest import sign_in
from tests.seed import example_body
from tests.support.polled_instance import PolledInstance

CHARACTERS = {
    "\u00a0": "U+00A0 NO-BREAK SPACE",
    "\u00ad": "U+00AD SOFT HYPHEN",
    "\u034f": "U+034F COMBINING GRAPHEME JOINER",
    "\u061c": "U+061C ARABIC LETTER MARK",
    "\u1680": "U+1680 OGHAM SPACE MARK",
    "\u2003": "U+2003 EM SPACE",
    "\u200b": "U+200B ZERO WIDTH SPACE",
    "\u200f": "U+200F RIGHT-TO-LEFT MARK",
    "\u2028": "U+2028 LINE SEPARATOR",
    "\u2029": "U+2029 PARAGRAPH SEPARATOR",
    "\u202e": "U+202E RIGHT-TO-LEFT OVERRIDE",
    "\u2060": "U+2060 WORD JOINER",
    "\u2069": "U+2069 POP DIRECTIONAL ISOLATE",
    "\u3164": "U+3164 HANGUL FILLER",
    "\ufeff": "U+FEFF ZERO WIDTH NO-BREAK SPACE",
    "\U000e0041": "U+E0041 TAG LATIN CAPITAL LETTER A",
    "\x07": "U+0007 CONTROL CHARACTER",
    "\x1b": "U+001B ESCAPE",
    "\x7f": "U+007F DELETE",
    "\x85": "U+0085 NEXT LINE",
}
PLACES: dict[str, Callable[[str, str], str]] = {
    "at the beginning": lambda text, odd: odd + text,
    "inside": lambda text, odd: text[:2] + odd + text[2:],
    "at the end": lambda text, odd: text + odd,
}
ODD = [(character, place) for character in CHARACTERS for place in PLACES]
# Each character once, at a third of the places each: pages ask the same judge as the API, and take ten times as long.
ON_PAGES = [odd for number, odd in enumerate(ODD) if number % 3 == number // 3 % 3]
TEXT_KEYS = [key.name for key in KEYS if key.kind in ("string", "password") and key.name != "event.vendor.type"]
HEADERS, POLLS = "event.notification.callback.headers", "event.poller.configuration"
SAMPLES = {
    "event.notification.callback.url": "https://receiver.example/hook",
    "baseUrl": "https://psa.example/v4_6_release/apis/3.0",
}
POLL_TEXTS = {
    "url": "/hubs/crm/contacts?where=firstName='Ann'",
    "idField": "id",
    "datesConfiguration.updatedDateField": "_info.lastUpdated",
    "datesConfiguration.updatedDateFormat": "yyyy-MM-dd",
    "datesConfiguration.updatedDateTimezone": "Europe/Berlin",
    "datesConfiguration.createdDateField": "dateEntered",
    "datesConfiguration.createdDateFormat": "yyyy-MM-dd",
    "datesConfiguration.createdDateTimezone": "GMT",
}


def text_with(odd: tuple[str, str], text: str) -> str:
    return PLACES[odd[1]](text, odd[0])


def names(message: str, field: str, odd: tuple[str, str]) -> bool:
    return field in message and CHARACTERS[odd[0]] in message


def poll_with(path: str, odd: tuple[str, str]) -> dict[str, Any]:
    """Return a poll's configuration with the character in one of its texts."""
    group, _, key = path.rpartition(".")
    texts: dict[str, Any] = {key: text_with(odd, POLL_TEXTS[path])}
    return {group: texts} if group else texts


@pytest.fixture
def instance(world: PolledInstance) -> Instance:
    world.watch()
    return world.instance


@pytest.fixture
def call(client: Client, tenant: Tenant) -> Callable[..., str]:
    """Send JSON, and return the message of the 400."""

    def send(method: str, path: str, body: object) -> str:
        headers = {"Authorization": tenant.auth}
        answer = getattr(client, method)(path, body, content_type="application/json", headers=headers)
        assert answer.status_code == 400, (method, path, body, answer.content)
        return str(answer.json()["message"])

    return send


@pytest.fixture(autouse=True)
def _nothing_changes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have every test end with what it began with."""
    if "instance" not in request.fixturenames:
        yield
        return
    before = config_of(request.getfixturevalue("instance"))
    yield
    assert config_of(Instance.objects.get()) == before


@pytest.mark.parametrize("key", TEXT_KEYS)
def test_a_text_of_the_configuration(instance: Instance, call: Callable[..., str], key: str) -> None:
    ways = ("post", "put", "patch", "one key")
    for number, odd in enumerate(ODD):
        value, way = text_with(odd, SAMPLES.get(key, "value")), ways[number % 4]
        body = example_body("http://127.0.0.1:9")
        body["configuration"] |= {key: value}
        at = f"/instances/{instance.pk}"
        if way == "one key":
            message = call("patch", f"{at}/configuration/{key}", {"propertyValue": value})
        else:
            message = call(way, "/instances" if way == "post" else at, body)
        assert names(message, key, odd), (way, odd, message)


HOSTS = ("a..b", ".a.example", "a" * 64 + ".example", "a." * 127 + "a", "-a.example", "a-.example", "xn--a.example")


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_cannot_exist(instance: Instance, call: Callable[..., str], host: str) -> None:
    for key in SAMPLES:
        message = call("patch", f"/instances/{instance.pk}", {"configuration": {key: f"https://{host}/hook"}})
        assert f"{key} can't be used: The URL's host" in message


@pytest.mark.parametrize("odd", ODD[::4])
def test_a_header_of_notifications(instance: Instance, call: Callable[..., str], odd: tuple[str, str]) -> None:
    at, name, value = f"/instances/{instance.pk}", text_with(odd, "X-Name"), text_with(odd, "value")
    for headers in ({"X-Name": value}, {name: "value"}, f"X-Name: {value}", f"{name}: value"):
        assert names(call("patch", at, {"configuration": {HEADERS: headers}}), HEADERS, odd), headers


@pytest.mark.parametrize("path", POLL_TEXTS)
def test_a_text_of_a_polls_configuration(instance: Instance, call: Callable[..., str], path: str) -> None:
    at, poll = f"/v1/instances/{instance.pk}/polls", ResourcePoll.objects.get()
    for number, odd in enumerate(ODD):
        configuration = poll_with(path, odd)
        if number % 3 == 0:
            message = call(
                "patch", f"/instances/{instance.pk}", {"configuration": {POLLS: {"contacts": configuration}}}
            )
        elif number % 3 == 1:
            message = call("patch", f"{at}/{poll.pk}", {"configuration": configuration})
        else:
            message = call("post", at, {"resource": "incidents", "configuration": configuration})
        assert names(message, path, odd), (odd, message)


@pytest.mark.parametrize("place", PLACES)
def test_names_of_keys_and_resources(instance: Instance, call: Callable[..., str], place: str) -> None:
    for odd in ((character, place) for character in CHARACTERS):
        at, resource = f"/instances/{instance.pk}", text_with(odd, "incidents")
        assert names(call("patch", at, {"configuration": {POLLS: {resource: {}}}}), POLLS, odd)
        assert names(call("post", f"/v1{at}/polls", {"resource": resource}), "resource", odd)
        assert names(
            call("patch", at, {"configuration": {POLLS: {"contacts": {text_with(odd, "idField"): "id"}}}}), POLLS, odd
        )
        assert names(call("patch", at, {"configuration": {text_with(odd, "company"): "acme"}}), "company"[3:-1], odd)


@pytest.mark.parametrize("place", PLACES)
def test_names_that_people_choose(instance: Instance, call: Callable[..., str], place: str) -> None:
    for odd in ((character, place) for character in CHARACTERS):
        name = text_with(odd, "Acme")
        body = example_body("http://127.0.0.1:9")
        for method, at in (
            ("post", "/instances"),
            ("put", f"/instances/{instance.pk}"),
            ("patch", f"/instances/{instance.pk}"),
        ):
            assert names(call(method, at, body | {"name": name}), "name", odd)
            assert names(call(method, at, body | {"tags": ["north", name]}), "tags: number 2", odd)
        assert names(call("post", "/v1/secrets", {"name": name}), "name", odd)
        assert names(call("post", f"/v1/instances/{instance.pk}/signature-key/rotate", {"key": name}), "key", odd)
        assert names(
            call("post", f"/v1/instances/{instance.pk}/test-notification", {"resource": name}), "resource", odd
        )
        for option in ("--organization", "--user"):
            options = {"--organization": "Alpha", "--user": "bob"} | {option: name}
            with pytest.raises(CommandError, match=option) as refused:
                call_command("issue_secrets", *(part for pair in options.items() for part in pair))
            assert names(str(refused.value), option, odd)


TYPED = {
    "site": "own",
    "base_url": "https://psa.example/v4_6_release/apis/3.0",
    "company": "acme",
    "public_key": "PUB",
    "private_key": "PRIV",
    "client_id": "a-client-id",
    "events_enabled": "on",
    "callback_url": "https://receiver.example/hook",
    "signature_key": "a signature key",
    "callback_headers": "X-Name: value",
    "basic_username": "user",
    "basic_password": "the password",
    "refresh_interval": "5",
    "watch": ["contacts"],
    "name": "Acme",
    "tags": "north, south",
}
TYPED_TEXTS = [name for name in TYPED if name not in ("site", "events_enabled", "refresh_interval", "watch")]
ZONE = "datesConfiguration.updatedDateTimezone"
PARTS = {
    "connection": ("site", "base_url", "company", "public_key", "private_key", "client_id"),
    "notify": (
        "callback_url",
        "signature_key",
        "callback_headers",
        "basic_username",
        "basic_password",
    ),
    "polling": ("refresh_interval",),
    "name": ("name", "tags"),
}


def beside(page: Any, field: str) -> str:
    """Return what a page says beside a field."""
    html = page.content.decode()
    _, found, rest = html.partition(f'id="id_{field}_error"')
    assert found, f"nothing is said beside {field}"
    return str(rest.partition("</p>")[0])


def all_odd(fields: Iterable[str], odd: tuple[str, str]) -> dict[str, Any]:
    """Return what is typed into these fields, with the character in each that takes text."""
    return {field: text_with(odd, str(TYPED[field])) if field in TYPED_TEXTS else TYPED[field] for field in fields}


def test_every_text_that_can_be_typed_is_on_one_of_the_parts() -> None:
    assert set(TYPED_TEXTS) <= {field for fields in PARTS.values() for field in fields}


@pytest.mark.parametrize("part", [None, *(part for part in PARTS if part != "polling")])
def test_what_is_typed_into_a_page(instance: Instance, tenant: Tenant, part: str | None) -> None:
    """All fields of a form at once: each says its own."""
    person = sign_in("olga", tenant.organization)
    fields = PARTS[part] if part else tuple(TYPED)
    for number, odd in enumerate(ON_PAGES):
        if number % 2 != (part is None):
            continue
        typed = all_odd(fields, odd)
        page = (
            person.post(f"/app/instances/{instance.pk}/settings", typed | {"part": part})
            if part
            else person.post("/app/instances/new", typed)
        )
        for field in set(fields) & set(TYPED_TEXTS):
            assert CHARACTERS[odd[0]] in beside(page, field), (field, odd)


def test_a_resource_on_a_page(instance: Instance, tenant: Tenant) -> None:
    person, at = sign_in("olga", tenant.organization), f"/app/instances/{instance.pk}/resources"
    for odd in ON_PAGES:
        for path, typed in (
            (f"{at}/add", {"name": text_with(odd, "agreements")}),
            (f"{at}/add", {"name": "agreements", "url": text_with(odd, "/hubs/crm/agreements")}),
            (
                f"{at}/edit/contacts",
                {"enabled": "on", "contacts.datesConfiguration.updatedDateTimezone": text_with(odd, "Europe/Berlin")},
            ),
            (f"{at}/edit/contacts", {"enabled": "on", "contacts.json": f'{{"idField": "{text_with(odd, "id")}"}}'}),
        ):
            page = person.post(path, typed)
            assert page.status_code == 422, (path, typed)
            # A control character in JSON is no JSON; that is said instead.
            assert CHARACTERS[odd[0]] in page.content.decode() or ("contacts.json" in typed and odd[0] < " "), (
                path,
                typed,
            )


@pytest.mark.django_db
@pytest.mark.parametrize("odd", ON_PAGES)
def test_names_in_the_admin_and_at_the_first_start(client: Client, odd: tuple[str, str]) -> None:
    typed = {"username": "olga", "organization": text_with(odd, "Acme"), "code": "x", "password": "a long enough one"}
    assert CHARACTERS[odd[0]] in beside(client.post("/app/start", typed), "organization")
    client.force_login(User.objects.create_superuser("root", password="a long enough one"))
    inline = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0", "second_factor": "optional"}
    name = text_with(odd, "Acme")
    page = client.post("/admin/instances/organization/add/", inline | {"name": name})
    # Django's own fields take white space off at the ends, of whichever kind.
    stored = Organization.objects.filter(name="Acme").exists()
    assert CHARACTERS[odd[0]] in page.content.decode() or (stored and name.strip() == "Acme")


@pytest.mark.parametrize("character", CHARACTERS)
def test_a_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, character: str) -> None:
    value = text_with((character, "inside"), "https://a.example")
    monkeypatch.setenv("CWCONNECT_HEARTBEAT_URL", value)
    with pytest.raises(ImproperlyConfigured, match=r"CWCONNECT_HEARTBEAT_URL holds U\+") as refused:
        env.text("CWCONNECT_HEARTBEAT_URL")
    assert CHARACTERS[character] in str(refused.value)
    monkeypatch.delenv("CWCONNECT_HEARTBEAT_URL")
    (tmp_path / "file").write_text(value, encoding="utf-8")
    monkeypatch.setenv("CWCONNECT_HEARTBEAT_URL_FILE", str(tmp_path / "file"))
    with pytest.raises(
        ImproperlyConfigured, match=r"CWCONNECT_HEARTBEAT_URL_FILE names a file that holds U\+"
    ) as refused:
        env.text("CWCONNECT_HEARTBEAT_URL")
    assert CHARACTERS[character] in str(refused.value)


def test_a_stored_secret_stays_behind_its_mask_whatever_it_holds(
    world: PolledInstance,
    client: Client,
    tenant: Tenant,
) -> None:
    world.watch()
    old = replace(config_of(world.instance), signature_key="old\u200b")
    change_instance(world.instance, config=old)
    at, headers = f"/instances/{world.instance.pk}", {"Authorization": tenant.auth}
    shown = client.get(at, headers=headers).json()
    answer = client.put(at, shown | {"name": "Other"}, content_type="application/json", headers=headers)
    assert answer.status_code == 200, answer.content
    assert config_of(Instance.objects.get()) == old


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "10.1", "[::1]", "127.0.0.1.", "192.168.257"])
def test_an_address_is_judged_when_it_is_given_however_it_is_spelt(
    instance: Instance, call: Callable[..., str], settings: Settings, host: str
) -> None:
    settings.PRIVATE_NETWORKS = []
    for key in SAMPLES:
        message = call("patch", f"/instances/{instance.pk}", {"configuration": {key: f"https://{host}/hook"}})
        assert f"{key} can't be used: No request goes to" in message
