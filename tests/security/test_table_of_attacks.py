"""The table of attacks, by kind: what is typed, sent or stored by somebody who means harm, one row each.

Kinds that need servers, sockets or a whole world of their own stand in modules beside this one and in `tests/site`;
the last test counts all of them. Each row here is judged by what its kind may never do: be a fault of ours (5xx), show
another tenant's word, change what is stored of it, or reach a page, a log or a file as anything but text.
"""

from __future__ import annotations

import html
import json
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from cwconnect.outbound import ConnectFailed
from instances.models import Instance, Membership, Organization, Role
from polling.models import DeliveryAttempt, Event, Notification
from tests.conftest import Tenant
from tests.security.test_destinations import WAYS as DESTINATIONS
from tests.security.test_injection import FORMULAS, LINES
from tests.site.test_attacks import NAMES
from tests.site.test_smuggling import REFUSED as SMUGGLED
from tests.site.test_spoofing import BODIES, HEADERS, PATHS
from tests.support.rows import make_instance
from tests.support.victim import WORD, Victim

pytestmark = pytest.mark.django_db

INJECTED = {
    "an SQL condition": "' OR '1'='1",
    "an SQL comment": "x'; DROP TABLE instances_instance; --",
    "an SQL union": "' UNION SELECT token_hash FROM instances_instance --",
    "an SQL wait": "1; SELECT pg_sleep(5)",
    "a LIKE of all": "%",
    "a NUL": "a\x00b",
    "a line break": "a\r\nSet-Cookie: session=planted",
    "a template": "{{ settings.SECRET_KEY }}",
    "a format string": "%(SECRET_KEY)s {0.__class__.__mro__}",
    "a JNDI look-up": "${jndi:ldap://127.0.0.1/a}",
    "a path upwards": "../../../../etc/passwd",
    "a path upwards, encoded": "..%2f..%2f..%2fetc%2fpasswd",
    "a script": "<script>alert(1)</script>",
    "a command": "$(touch /tmp/owned) `id` | id",
    "a long text": "a" * 4000,
    "digits of another script": "١٢٣",
    "a number beyond 64 bits": "9" * 40,
    "a negative number": "-1",
    "half a surrogate": "\\ud800",
    "an ESC sequence": "\x1b]0;owned\x07",
    "a JSON object": '{"$gt":""}',
    "a related field": "organization__secret_hash__startswith=a",
}
PARAMETERS = {
    "/instances": ("searchText", "tags[]", "pageSize", "nextPage"),
    "/instances/{number}/events": ("objectType", "objectId", "eventType", "status", "from", "to", "nextPage"),
    "/instances/events/analytics": ("from", "to", "interval"),
    "/notifications/subscriptions/deliveries": ("where",),
    "/hubs/crm/contacts": ("where", "fields", "orderBy", "page", "nextPage"),
    "/v1/events": ("after", "kind", "resource", "object_id", "instance", "filter", "wait"),
    "/v1/deliveries": ("state", "resource", "cursor", "instance"),
}
IN_A_QUERY = [(path, name) for path, names in PARAMETERS.items() for name in names]
IN_A_PATH = ("/instances/{}", "/elements/{}", "/hubs/{}/contacts", "/hubs/crm/{}", "/v1/events/{}")


def harmed(answer: Any) -> list[str]:
    """Say what an answer gives away, or that it is a fault of ours."""
    text = answer.content.decode(errors="replace")
    found = {
        "a fault of ours": answer.status_code >= 500,
        "another tenant's word": WORD in text,
        "a planted header": "planted" in str(answer.headers),
        "a file": "root:" in text,
    }
    return [what for what, is_so in found.items() if is_so]


@pytest.mark.parametrize(("path", "name"), IN_A_QUERY)
def test_nothing_typed_into_a_query_is_more_than_text(
    victim: Victim, other_tenant: Tenant, path: str, name: str
) -> None:
    own = make_instance(other_tenant.organization, name="mine", disabled=True)
    client = Client(headers={"Authorization": other_tenant.auth}, raise_request_exception=False)
    before, found = victim.snapshot(), {}
    for kind, text in INJECTED.items():
        found[kind] = harmed(client.get(f"{path.format(number=own.pk)}?{quote(name)}={quote(text)}"))
    assert {kind: harm for kind, harm in found.items() if harm} == {}
    assert victim.snapshot() == before


@pytest.mark.parametrize("path", IN_A_PATH)
def test_nothing_typed_into_a_path_is_more_than_a_name(victim: Victim, other_tenant: Tenant, path: str) -> None:
    client = Client(headers={"Authorization": other_tenant.auth}, raise_request_exception=False)
    found = {kind: harmed(client.get(path.format(quote(text, safe="")))) for kind, text in INJECTED.items()}
    assert {kind: harm for kind, harm in found.items() if harm} == {}


SCRIPTS = {
    "a script": "<script>owned()</script>",
    "an image": "<img src=x onerror=owned()>",
    "an end of an attribute": '"><svg onload=owned()>',
    "an end of an attribute in single quotes": "'><svg onload=owned()>",
    "an end of a script": "</script><script>owned()</script>",
    "a link": "javascript:owned()",
    "a template": "{{ owned }}{% debug %}",
    "an end of a comment": "--><script>owned()</script><!--",
    "an end of a text area": "</textarea><script>owned()</script>",
    "an event of htmx": "<div hx-get=/owned hx-trigger=load>",
}
STORED_IN = ("instance", "tag", "company", "organization", "resource", "record", "answer", "error", "account")
SHOWN_ON = (
    "/",
    "/app/instances",
    "/app/instances/{number}",
    "/app/instances/{number}/events",
    "/app/instances/{number}/settings",
    "/app/instances/{number}/delivery",
    "/app/instances/{number}/delete",
    "/app/instances/{number}/token",
    "/app/instances/{number}/polls/{poll}",
    "/app/events",
    "/app/events/{event}",
    "/app/deliveries",
    "/app/deliveries?tries=0&kind=UPDATED",
    "/app/replay-these?of=deliveries&from=2020-01-01T00:00",
    "/app/people",
    "/app/people/leave",
    "/app/keys",
    "/admin/instances/instance/{number}/change/",
    "/admin/polling/event/{event}/change/",
)


def store(victim: Victim, place: str, text: str) -> None:
    """Put a text where outsiders can."""
    if place in ("instance", "tag", "company"):
        column, value = {"instance": ("name", text), "tag": ("tags", [text]), "company": ("company", text)}[place]
        Instance.objects.filter(pk=victim.instance.pk).update(**{column: value})
    elif place == "organization":
        Organization.objects.update(name=text)
    elif place == "resource":
        victim.instance.resource_polls.update(name=text)
        Event.objects.update(object_type=text, object_id=text)
    elif place == "record":
        changes = json.dumps([{"field": text, "from": None, "to": text}])
        Event.objects.update(record=json.dumps({"id": 1, text: text}), changes=changes)
    elif place in ("answer", "error"):
        given = {"response": text} if place == "answer" else {"error": text, "error_kind": "dropped"}
        attempt = DeliveryAttempt(notification=victim.notification, url="http://127.0.0.1/", status=500, **given)
        attempt.started_at = attempt.finished_at = victim.event.polled_at
        attempt.save()
        Notification.objects.update(last_error=text)
    else:
        User.objects.update(username=text[:150])


class Browser(HTMLParser):
    """Reads a page as a browser does, and keeps what of the planted it would run."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at handlers, links and what htmx fetches."""
        self.inside = tag
        for name, value in attrs:
            runs = name.startswith(("on", "hx-")) or (value or "").startswith("javascript:")
            if runs and "owned" in (value or ""):
                self.alive.append(f"<{tag} {name}={value}>")

    def handle_data(self, data: str) -> None:
        """Look at scripts."""
        if self.inside == "script" and "owned" in data:
            self.alive.append(f"<script>{data}")


@pytest.mark.parametrize("kind", [kind for kind in SCRIPTS if kind not in ("a link", "a template")])
def test_what_is_planted_as_it_is_would_be_seen(kind: str) -> None:
    browser = Browser()
    browser.feed(f"<p>{SCRIPTS[kind]}</p>")
    assert browser.alive


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("place", STORED_IN)
def test_nothing_stored_becomes_part_of_a_page(victim: Victim, place: str, half: int) -> None:
    account = User.objects.create_superuser("olga")
    Membership.objects.create(account=account, organization=victim.tenant.organization, role=Role.OPERATOR)
    client = Client()
    client.force_login(account)
    text = " ".join(list(SCRIPTS.values())[half::2])  # in two parts, since a name has 150 characters at most
    store(victim, place, text)
    shown = 0
    for path in SHOWN_ON:
        answer = client.get(path.format(number=victim.instance.pk, poll=victim.poll.pk, event=victim.event.pk))
        page = answer.content.decode()
        assert answer.status_code == 200, (path, page[-500:])
        shown += text[:140] in html.unescape(page) or text[:140] in html.unescape(page).replace('\\"', '"')
        browser = Browser()
        browser.feed(page)
        assert browser.alive == [], path
    assert shown, "no page shows it, so the row proves nothing"


DISGUISED: dict[str, Any] = {
    "a list for a name": {"name": ["a"]},
    "an object for a name": {"name": {"a": 1}},
    "a configuration that is a list": {"configuration": [["baseUrl", "http://127.0.0.1"]]},
    "a prototype": {"__proto__": {"admin": True}, "configuration": {}},
    "a column of ours": {"organization_id": 1, "token_hash": "x", "id": 1},
    "an organization": {"organization": {"id": 1}},
    "a configuration in text in text": {"configuration": {"event.poller.configuration": '"{\\"contacts\\":{}}"'}},
    "a resource called as a path": {"configuration": {"event.poller.configuration": {"../../x": {}}}},
    "a poll of a host": {"configuration": {"event.poller.configuration": {"c": {"url": "http://127.0.0.1/"}}}},
    "a poll of a path upwards": {"configuration": {"event.poller.configuration": {"c": {"url": "/hubs/crm/../../x"}}}},
    "a header with a line break": {"configuration": {"event.notification.callback.headers": {"X": "a\r\nb: c"}}},
    "a header of ours": {"configuration": {"event.notification.callback.headers": {"webhook-id": "x"}}},
    "a host header": {"configuration": {"event.notification.callback.headers": {"Host": "internal"}}},
    "a callback to a file": {"configuration": {"event.notification.callback.url": "file:///etc/passwd"}},
    "a callback to a socket": {"configuration": {"event.notification.callback.url": "unix:///run/docker.sock"}},
    "a callback with credentials": {"configuration": {"event.notification.callback.url": "http://a:b@example.com/"}},
    "a callback to metadata": {"configuration": {"event.notification.callback.url": "http://169.254.169.254/latest"}},
    "a callback to metadata in decimal": {"configuration": {"event.notification.callback.url": "http://2852039166/"}},
    "a base URL with a query": {"configuration": {"baseUrl": "https://example.com/?x="}},
    "a base URL in Gopher": {"configuration": {"baseUrl": "gopher://127.0.0.1:6379/_x"}},
    "a thousand tags": {"tags": [str(number) for number in range(1000)]},
    "a hundred and one resources": {
        "configuration": {"event.poller.configuration": {f"r{number}": {} for number in range(101)}}
    },
}


@pytest.mark.parametrize("kind", DISGUISED)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_no_body_is_taken_for_more_than_it_may_be(
    victim: Victim, other_tenant: Tenant, kind: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def refuse(_: object, method: str, url: str, **__: object) -> None:
        asked.append(url)
        raise ConnectFailed("Nobody is there.")

    monkeypatch.setattr("cwconnect.outbound.client.OutboundClient.request", refuse)
    before, count = victim.snapshot(), Instance.objects.count()
    headers = {"Authorization": other_tenant.auth if method == "POST" else victim.tenant.auth}
    path = "/instances" if method == "POST" else f"/instances/{victim.instance.pk}"
    cache.clear()
    answer = Client(headers=headers).generic(method, path, json.dumps(DISGUISED[kind]), content_type="application/json")
    assert answer.status_code == 400 or (method == "PATCH" and answer.status_code == 200), answer.content
    assert Instance.objects.count() == count
    assert [url for url in asked if not url.startswith(f"{victim.instance.base_url}/")] == []
    if answer.status_code == 400:
        assert victim.snapshot() == before
        assert set(answer.json()) == {"requestId", "message"}
    stored = Instance.objects.get(pk=victim.instance.pk)
    assert stored.organization_id == victim.tenant.organization.pk
    assert stored.token_hash == victim.instance.token_hash


def test_the_table_is_long_enough() -> None:
    kinds = {
        "what is typed into queries": len(IN_A_QUERY) * len(INJECTED),
        "what is typed into paths": len(IN_A_PATH) * len(INJECTED),
        "what is stored and shown": len(SCRIPTS) * len(STORED_IN),
        "formulas": len(FORMULAS),
        "lines of logs": len(LINES),
        "bodies": 2 * len(DISGUISED) + len(BODIES),
        "identities": len(NAMES),
        "spellings of paths": len(PATHS),
        "headers": len(HEADERS),
        "requests that are read in two ways": len(SMUGGLED),
        "secrets sent elsewhere": len(DESTINATIONS),
    }
    assert sum(kinds.values()) >= 200
    assert all(kinds.values()), kinds
