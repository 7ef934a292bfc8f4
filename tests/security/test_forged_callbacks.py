"""Forged callbacks: whoever knows the URL of an endpoint wakes nothing without the key of its own site and company.

A table of forgeries: each is taken (200, for ConnectWise gives up on anything else), and none makes a poll due. The
genuine one at the table's head does, so that a table of mistakes in the test itself would be noticed.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cwconnect.connectwise.callbacks.signatures import LARGEST_KEY_ANSWER
from cwconnect.outbound import Limits
from instances.models import Instance
from polling.callbacks import signing_keys
from polling.callbacks.judging import judge_hints
from polling.callbacks.signing_keys import forget_keys, keep_key
from polling.models import AnnouncedRecord, CallbackCount, CallbackHint, PollState
from tests.support.callbacks import SIGNING_KEY, Announcer, enable_callbacks, judged, signature_of
from tests.support.polled_instance import PolledInstance
from tests.support.raw_servers import RawServer

CLOUD = "https://api-na.myconnectwise.net/v4_6_release/apis/3.0"
ROUTE = "/v2025_1//system/callbackkey/index.rails"
COMPANY = "cobalt"


@dataclass(frozen=True)
class Forgery:
    """One forged callback: the key's URL, other members of the body, and what is done to body and signature."""

    name: str
    key_url: str | None = None
    members: dict[str, Any] | None = None
    sent: Callable[[bytes], bytes] = lambda body: body
    signature: Callable[[bytes], str] = signature_of
    reason: str = ""


def key_at(origin: str, path: str = ROUTE, query: str = f"companyName={COMPANY}&id=e17e") -> str:
    return f"{origin}{path}?{query}"


OTHER_HOST, OTHER_PATH, OTHER_COMPANY = "key of another host", "key of another path", "key of another company"
UNREADABLE, WRONG, MALFORMED = "unreadable", "wrong signature", "key URL malformed"
SITE = "https://na.myconnectwise.net"
FORGERIES = [
    Forgery("another customer's site", key_at("https://eu.myconnectwise.net"), reason=OTHER_HOST),
    Forgery("a host of the forger's", key_at("https://evil.example"), reason=OTHER_HOST),
    Forgery("a host that begins as ours", key_at("https://na.myconnectwise.net.evil.example"), reason=OTHER_HOST),
    Forgery("a host that ends as ours", key_at("https://evilna.myconnectwise.net"), reason=OTHER_HOST),
    Forgery("a host below ours", key_at("https://evil.na.myconnectwise.net"), reason=OTHER_HOST),
    Forgery("api- twice", key_at("https://api-api-na.myconnectwise.net"), reason=OTHER_HOST),
    Forgery("a dot behind the host", key_at("https://na.myconnectwise.net."), reason=OTHER_HOST),
    Forgery("letters that look alike", key_at("https://nа.myconnectwise.net"), reason=MALFORMED),
    Forgery("a private address", key_at("https://10.1.2.3"), reason=OTHER_HOST),
    Forgery("this machine", key_at("https://127.0.0.1"), reason=OTHER_HOST),
    Forgery("a metadata service", key_at("http://169.254.169.254"), reason=OTHER_HOST),
    Forgery("plain http", key_at("http://na.myconnectwise.net"), reason=OTHER_HOST),
    Forgery("another scheme", key_at("ftp://na.myconnectwise.net"), reason=OTHER_HOST),
    Forgery("a file", "file:///etc/passwd", reason=OTHER_HOST),
    Forgery("another port", key_at("https://na.myconnectwise.net:8443"), reason=OTHER_HOST),
    Forgery("http's port", key_at("https://na.myconnectwise.net:80"), reason=OTHER_HOST),
    Forgery("no port", key_at("https://na.myconnectwise.net:port"), reason=OTHER_HOST),
    Forgery("userinfo", key_at("https://user:word@na.myconnectwise.net"), reason=MALFORMED),
    Forgery("our host as userinfo", key_at("https://na.myconnectwise.net@evil.example"), reason=MALFORMED),
    Forgery("a backslash", key_at("https://evil.example\\@na.myconnectwise.net"), reason=MALFORMED),
    Forgery("a line's end", key_at("https://na.myconnectwise.net", "/\r\nHost: evil" + ROUTE), reason=MALFORMED),
    Forgery("another path", key_at(SITE, "/system/other.rails"), reason=OTHER_PATH),
    Forgery("a path that goes on", key_at(SITE, ROUTE + "/../../redirect"), reason=OTHER_PATH),
    Forgery("a path with escapes", key_at(SITE, "/redirect%2f.." + ROUTE), reason=OTHER_PATH),
    Forgery("a path upwards", key_at(SITE, "/redirect/.." + ROUTE), reason=OTHER_PATH),
    Forgery("our path as a query", key_at(SITE, "/redirect", f"to={ROUTE}&companyName={COMPANY}"), reason=OTHER_PATH),
    Forgery("a fragment", key_at(SITE) + "#part", reason=OTHER_PATH),
    Forgery("another company's key", key_at(SITE, query="companyName=mallory&id=1"), reason=OTHER_COMPANY),
    Forgery("no company's key", key_at(SITE, query="id=1"), reason=OTHER_COMPANY),
    Forgery("two companies' key", key_at(SITE, query=f"companyName={COMPANY}&companyName=m"), reason=OTHER_COMPANY),
    Forgery(
        "a company in other case twice",
        key_at(SITE, query=f"companyname=m&companyName={COMPANY}"),
        reason=OTHER_COMPANY,
    ),
    Forgery("no key's URL", members={"Metadata": {}}, reason=UNREADABLE),
    Forgery("a key in the body", members={"Metadata": {"signing_key": SIGNING_KEY}}, reason=UNREADABLE),
    Forgery("an endless key's URL", key_at(SITE, query="companyName=" + "x" * 70_000), reason=UNREADABLE),
    Forgery("another company", members={"CompanyId": "mallory"}, reason="another company"),
    Forgery("no company", members={"CompanyId": ...}, reason=UNREADABLE),
    Forgery("a registration of nobody's", members={"CallbackObjectRecId": 999}, reason="unknown registration"),
    Forgery("a registration of another type", members={"Type": "company"}, reason="unknown registration"),
    Forgery("no registration", members={"CallbackObjectRecId": ...}, reason=UNREADABLE),
    Forgery("no record", members={"ID": "17; DROP TABLE"}, reason=UNREADABLE),
    Forgery("a record beyond 64 bits", members={"ID": 2**63}, reason=UNREADABLE),
    Forgery("no signature", signature=lambda _: "", reason="no signature"),
    Forgery("a signature that is none", signature=lambda _: "not base64 é"[:-2], reason=WRONG),
    Forgery("an endless signature", signature=lambda body: signature_of(body) * 100, reason=WRONG),
    Forgery("another key", signature=lambda body: signature_of(body, "another"), reason=WRONG),
    Forgery("an empty key", signature=lambda body: signature_of(body, ""), reason=WRONG),
    Forgery("re-serialised", sent=lambda body: json.dumps(json.loads(body), indent=1).encode(), reason=WRONG),
    Forgery("one byte more", sent=lambda body: body + b" ", reason=WRONG),
    Forgery("one byte less", sent=lambda body: body[:-1], reason=UNREADABLE),
    Forgery("no body", sent=lambda _: b"", reason=UNREADABLE),
    Forgery("65 KiB of brackets", sent=lambda _: b"[" * 66_560, reason=UNREADABLE),
    Forgery("no JSON", sent=lambda _: b"\x00\xff" * 100, reason=UNREADABLE),
    Forgery("a list", sent=lambda body: b"[" + body + b"]", reason=UNREADABLE),
]


@pytest.fixture
def cloud(watched: PolledInstance) -> Announcer:
    """A watched instance of a cloud site, whose signing key is known, under every URL that a forgery names."""
    Instance.objects.filter(pk=watched.instance.pk).update(base_url=CLOUD, company=COMPANY)
    watched.instance.refresh_from_db()
    forget_keys()
    announcer = enable_callbacks(watched.instance)
    announcer.key_url = key_at(SITE)
    for forgery in FORGERIES:
        keep_key(forgery.key_url or announcer.key_url, SIGNING_KEY)
    return announcer


def wakes() -> int:
    return sum(CallbackCount.objects.filter(name="woken").values_list("count", flat=True))


def test_the_genuine_one_wakes(cloud: Announcer) -> None:
    cloud.announce(17)
    judge_hints(8, [])
    assert judged() == [("verified", "")]
    assert wakes() == 1


def test_the_sites_other_name_is_genuine_too(cloud: Announcer) -> None:
    cloud.key_url = key_at(
        "https://api-na.myconnectwise.net", "/v4_6_release" + ROUTE, f"companyname={COMPANY.upper()}"
    )
    keep_key(cloud.key_url, SIGNING_KEY)
    cloud.announce(17)
    judge_hints(8, [])
    assert wakes() == 1


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
def test_no_forgery_wakes_a_poll(cloud: Announcer, forgery: Forgery) -> None:
    due = dict(PollState.objects.values_list("pk", "next_poll_at"))
    if forgery.key_url:
        cloud.key_url = forgery.key_url
    body = cloud.body(17, **(forgery.members or {}))
    assert cloud.post(forgery.sent(body), forgery.signature(body)) == 200
    assert judge_hints(8, []) == []
    assert judged() == [("refused", forgery.reason)]
    assert dict(PollState.objects.values_list("pk", "next_poll_at")) == due
    assert wakes() == 0
    assert not AnnouncedRecord.objects.exists()
    assert CallbackHint.objects.get().body is None


def test_another_instances_token_and_registration(cloud: Announcer, world: PolledInstance) -> None:
    first = cloud.instance
    world.watch()
    second = enable_callbacks(world.instance, token="another-token-of-another-instance", entry=7)
    second.key_url, second.instance = cloud.key_url, first
    second.announce(17)  # the first one's company and key, at the second one's address
    cloud.entry = 7
    cloud.announce(18)  # the second one's registration, at the first one's address
    judge_hints(8, [])
    assert {status for status, _ in judged()} == {"refused"}
    assert wakes() == 0


def test_a_captured_one_sent_again_wakes_nothing(cloud: Announcer) -> None:
    body = cloud.body(17)
    cloud.post(body)
    judge_hints(8, [])
    PollState.objects.update(woken_at=None, next_poll_at=timezone.now() + timedelta(minutes=9))
    cloud.post(body)
    judge_hints(8, [])
    assert wakes() == 1
    assert judged()[1] == ("refused", "repeated")


def test_an_instance_that_is_off_is_not_woken(cloud: Announcer) -> None:
    for off in ({"callbacks_enabled": False}, {"events_enabled": False}, {"disabled": True}):
        Instance.objects.update(**({"callbacks_enabled": True, "events_enabled": True, "disabled": False} | off))
        cloud.announce(17)
        judge_hints(8, [])
    assert judged() == [("refused", "switched off")] * 3


# What the key route answers: request lines and bodies of a site that is not what it seems.
KEY = json.dumps({"signing_key": SIGNING_KEY}).encode()


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


KEY_ANSWERS = {
    "a redirect to the key": answer("302 Found", b"", "Location: /elsewhere"),
    "a redirect to this machine": answer("307 Temporary Redirect", KEY, "Location: http://127.0.0.1/"),
    "65 KiB": answer("200 OK", b'{"signing_key":"' + SIGNING_KEY.encode() + b'","x":"' + b"x" * 66_560 + b'"}'),
    "65 KiB, compressed": None,
    "not found": answer("404 Not Found", KEY),
    "a login wanted": answer("401 Unauthorized", KEY),
    "a fault of the server's": answer("500 Internal Server Error", KEY),
    "another success": answer("203 Non-Authoritative Information", KEY),
    "no JSON": answer("200 OK", SIGNING_KEY.encode()),
    "no key": answer("200 OK", b'{"signingKey":"x"}'),
    "a key that is a number": answer("200 OK", b'{"signing_key":1}'),
    "an empty key": answer("200 OK", b'{"signing_key":""}'),
    "another key": answer("200 OK", b'{"signing_key":"another"}'),
    "nothing at all": b"",
    "half an answer": answer("200 OK", KEY)[:-5],
    "no HTTP": b"\x16\x03\x01" * 100,
    "an echo": None,
    "a hang": None,
}


@pytest.fixture
def own_site(watched: PolledInstance) -> Iterator[Callable[[str], Announcer]]:
    """A site of one's own on this machine, whose key route answers as one of the table's lines."""
    servers: list[RawServer] = []

    def start(name: str) -> Announcer:
        server = RawServer(lambda connection: _serve(connection, name))
        servers.append(server)
        Instance.objects.update(base_url=server.url("/v4_6_release/apis/3.0"), company=COMPANY)
        watched.instance.refresh_from_db()
        forget_keys()
        return enable_callbacks(watched.instance)

    yield start
    for server in servers:
        server.__exit__(None, None, None)


def _serve(connection: socket.socket, name: str) -> None:
    asked = connection.recv(65_536)
    if name == "a hang":
        threading.Event().wait(1.5)
    elif name == "an echo":
        connection.sendall(answer("200 OK", json.dumps({"signing_key": asked.decode()}).encode()))
    elif name == "65 KiB, compressed":
        body = gzip.compress(b'{"signing_key":"' + SIGNING_KEY.encode() + b'"}' + b" " * 66_560)
        connection.sendall(answer("200 OK", body, "Content-Encoding: gzip"))
    else:
        connection.sendall(KEY_ANSWERS[name] or b"")


def judge_with_keys() -> None:
    """Judge, fetch the keys that are wanted, judge again."""
    for job in judge_hints(8, []):
        job.commit(job.request()())
    CallbackHint.objects.filter(status="waiting").update(judge_at=timezone.now())
    judge_hints(8, [])


@pytest.mark.parametrize("name", KEY_ANSWERS)
def test_no_key_that_is_none_wakes_a_poll(
    own_site: Callable[[str], Announcer], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_keys, "_LIMITS", Limits(0.4, 0.4, 0.5, LARGEST_KEY_ANSWER))
    announcer = own_site(name)
    body = announcer.body(17)
    announcer.post(body)
    began = time.monotonic()
    judge_with_keys()
    assert time.monotonic() - began < 30
    assert wakes() == 0
    ((status, _),) = judged()
    assert status != "verified"
    CallbackHint.objects.update(received_at=timezone.now() - timedelta(minutes=11), judge_at=timezone.now())
    judge_with_keys()
    assert judged()[0][0] == "refused"


def test_a_private_address_is_not_asked_for_a_key(watched: PolledInstance) -> None:
    Instance.objects.update(base_url="https://10.1.2.3/v4_6_release/apis/3.0", company=COMPANY)
    watched.instance.refresh_from_db()
    forget_keys()
    announcer = enable_callbacks(watched.instance)
    announcer.announce(17)
    judge_with_keys()
    assert wakes() == 0
    assert judged() == [("waiting", "")]


def test_the_table_is_long_enough() -> None:
    assert len(FORGERIES) + len(KEY_ANSWERS) >= 40
