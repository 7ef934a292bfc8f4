"""What is fuzzed: each target takes bytes, and raises only if a promise of its reader is broken."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
from django.core.exceptions import ImproperlyConfigured
from requests.structures import CaseInsensitiveDict
from rest_framework.exceptions import ParseError

from cwconnect.connectwise.ceql.conditions import parse_where, to_conditions
from cwconnect.connectwise.ceql.tree import WhereError
from cwconnect.connectwise.client import Client
from cwconnect.connectwise.credentials import Credentials
from cwconnect.connectwise.errors import ConnectWiseError, error_from
from cwconnect.connectwise.hub_url import HubUrl, HubUrlError
from cwconnect.connectwise.java_dates import (
    PatternError,
    ZoneError,
    compile_pattern,
    parse_zone,
    read_iso,
)
from cwconnect.connectwise.java_dates.templates import Template, render_templates, split_templates
from cwconnect.core import env
from cwconnect.core.email_url import read_email_url
from cwconnect.core.errors import DomainError
from cwconnect.core.json_body import read_json
from cwconnect.core.time import parse_time
from cwconnect.outbound import (
    Limits,
    OutboundClient,
    OutboundError,
    Reply,
)
from instances.api.authentication import parse_header
from instances.configuration.config_keys import InstanceConfig
from instances.configuration.polls import PollConfigurationError, plan_of, read_poll
from instances.configuration.wire import read_configuration
from instances.hub.paths import parse_path
from instances.hub.reads import read_list
from instances.models import Instance
from polling.delivery.retry_schedule import next_wait, retry_after_seconds
from polling.detection.reading import read_records
from polling.field_changes import field_changes
from tests.support.raw_servers import LOOPBACK, RawServer, read_request

Target = Callable[[bytes], None]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_SECRET = "a-private-key-0815"
_CLIENT = OutboundClient(LOOPBACK)
_LIMITS = Limits(connect=1, read=0.3, total=0.6, body=64 * 1024)
_PLAN = plan_of("contacts", {})


def text_of(data: bytes) -> str:
    """Return bytes as text; what is no UTF-8 becomes lone surrogates, which are worth a try as well."""
    return data.decode("utf-8", "surrogateescape")


def where(data: bytes) -> None:
    """A `where` in CEQL, up to what ConnectWise is asked."""
    with suppress(WhereError):
        to_conditions(parse_where(text_of(data), instant=NOW))


def template(data: bytes) -> None:
    """A text with `${…}` templates: cut up without loss, and rendered."""
    text = text_of(data)
    with suppress(PatternError, ZoneError):
        parts = split_templates(text)
        assert "".join(part.source if isinstance(part, Template) else part for part in parts) == text
        render_templates(text, NOW)


def pattern(data: bytes) -> None:
    """A date pattern, and behind the line's end a text that it reads."""
    source, _, text = text_of(data).partition("\n")
    with suppress(PatternError):
        compiled = compile_pattern(source)
        compiled.format(NOW, UTC)
        assert compiled.parse(text, UTC).tzinfo is not None


def zone(data: bytes) -> None:
    """A time zone, and a time written in ISO's ways."""
    with suppress(ZoneError):
        NOW.astimezone(parse_zone(text_of(data)))
    with suppress(ValueError):
        assert read_iso(text_of(data)).tzinfo is not None


def moment(data: bytes) -> None:
    """A time in a query."""
    with suppress(DomainError):
        assert parse_time(text_of(data), "since").tzinfo is not None


def hub_url(data: bytes) -> None:
    """The `url` of a poll."""
    with suppress(HubUrlError):
        HubUrl.parse(text_of(data), resource_key="contacts").params(NOW, needed_fields=("id",))


def hub_route(data: bytes) -> None:
    """Path and query of a live read, as far as the request: `path?key=value&…`, its parts already decoded."""
    path, _, query = text_of(data).partition("?")
    client = _client(Reply(200, {}, b"[]", 0.0))
    with suppress(DomainError):
        found = parse_path(path)
        pairs = dict(pair.partition("=")[::2] for pair in query.split("&"))
        with suppress(ConnectWiseError), patch("instances.hub.reads.client_for", lambda _: client):
            read_list(Instance(), found, pairs)


def request_body(data: bytes) -> None:
    """The body of a request, and what it says of an instance's configuration."""
    with suppress(ParseError):
        given = read_json(data)
        json.dumps(given).encode()
        if isinstance(given, dict):
            with suppress(DomainError):
                read_configuration(given, base=InstanceConfig())


def poll_configuration(data: bytes) -> None:
    """One resource's configuration: what is kept of it means the same when read again."""
    with suppress(ParseError, PollConfigurationError):
        kept = read_poll("contacts", read_json(data))
        assert read_poll("contacts", kept) == kept


def answer(data: bytes) -> None:
    """ConnectWise's answer: lines of headers, an empty line, the body. Read as everything that may be asked for."""
    headers, body = _parts(data)
    client = _client(Reply(200, headers, body, 0.0))
    with suppress(ConnectWiseError):
        page = client.page("/company/contacts", {})
        reading = read_records(page.records, _PLAN, opening=NOW, closing=None, filter_nulls=True)
        for read in reading.records:
            assert orjson.loads(read.text) is not None
            field_changes({}, read.record)
    for ask in (
        lambda: client.list("/company/contacts", {}).next_params,
        lambda: client.newest_id("/company/contacts"),
        lambda: client.get("/company/contacts", 1),
        lambda: client.count("/company/contacts"),
    ):
        with suppress(ConnectWiseError):
            ask()


def refusal(data: bytes) -> None:
    """ConnectWise's refusal, by a status from the first two bytes: a sentence of bounded length, its wait in bounds."""
    status = 300 + int.from_bytes(data[:2], "big") % 300
    headers, body = _parts(data[2:])
    error = error_from(Reply(status, headers, body, 0.0), by_id=bool(status % 2), now=NOW)
    assert 0 < len(str(error)) < 2000
    assert (error.retry_after or 0) >= 0
    str(error).encode()


def authorization(data: bytes) -> None:
    """The Authorization header of our own API."""
    parts = parse_header(text_of(data))
    assert parts is None or set(parts) <= {"user", "organization", "element"}


def reply(data: bytes) -> None:
    """All that a receiver sends, from its status line on: an answer of bounded size, or one of the door's errors."""

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(data)

    with RawServer(handle) as server, suppress(OutboundError):
        got = _CLIENT.request("POST", server.url(), headers={}, body=b"{}", limits=_LIMITS, truncate=True)
        assert len(got.body) <= _LIMITS.body
        assert 100 <= got.status < 1000
        retry_after_seconds(got.headers.get("Retry-After", ""), NOW)
        got.text().encode()


def retry_after(data: bytes) -> None:
    """A receiver's Retry-After: whatever it says, the next try is within the schedule's bounds."""
    seconds = retry_after_seconds(data.decode("latin-1"), NOW)
    wait = next_wait([0, 5, 300], 1, status=503, timed_out=False, retry_after=seconds)
    assert wait is None or 0 <= wait.total_seconds() < 366 * 86400


def email_url(data: bytes) -> None:
    """CWCONNECT_EMAIL_URL: refused without a word of its password."""
    with suppress(ImproperlyConfigured):
        server = read_email_url(text_of(data))
        assert server is None or (server.host and server.to and 0 < server.port < 65536)
    words = ""
    try:
        read_email_url(f"smtp://user:{_SECRET}@{text_of(data)}")
    except ImproperlyConfigured as error:
        words = str(error)
    assert _SECRET not in words


def setting(data: bytes) -> None:
    """Values of the environment, by every reader of them."""
    value = text_of(data).replace("\0", "")
    readers: list[Callable[[str], object]] = [
        env.text,
        env.items,
        env.networks,
        lambda name: env.boolean(name, default=False),
        lambda name: env.integer(name, 1, minimum=1, maximum=9),
        lambda name: env.folder(name, Path),
        lambda name: env.hosts(name, ""),
        *(env.token, env.certificates, env.database, env.site_url, env.proxy_url, env.redis_url),
        lambda name: env.durations(name, "0"),
        lambda name: env.zone(name, "UTC"),
        lambda name: env.choice(name, "a", ("a", "b")),
    ]
    with patch.dict("os.environ", {"FUZZED": value}):
        for read in readers:
            with suppress(ImproperlyConfigured):
                read("FUZZED")


TARGETS: Mapping[str, Target] = {
    target.__name__: target
    for target in (
        *(where, template, pattern, zone, moment, hub_url, hub_route, request_body, poll_configuration),
        *(answer, refusal, reply, authorization, retry_after, email_url, setting),
    )
}

SEEDS: Mapping[str, tuple[bytes, ...]] = {
    "where": (
        b"lastUpdated >= ${date:yyyy-MM-dd'T'HH:mm:ssXXX} AND (name LIKE 'a%' OR NOT id IN (1, 2)) AND x IS NOT NULL",
        b'`company.name` <> "o\'b" and flag = true and n >= -1.50 and day > 2026-01-01 12:00',
    ),
    "template": (b"a ${gmtDate:yyyy-MM-dd} ${epoch:ms} ${dateTimeZone:GMT+02:00:HH:mm} ${date}",),
    "pattern": (b"yyyy-MM-dd'T'HH:mm:ss.SSSXXX\n2026-03-01T12:00:00.123+01:00", b"EEE, d MMM yyyy hh:mm a z\n"),
    "zone": (b"Europe/Berlin", b"GMT+02:00", b"2026-03-01T12:00:00.5-0800"),
    "moment": (b"2026-03-01T12:00:00Z",),
    "hub_url": (
        b"/hubs/crm/contacts?where=lastUpdated%3E%3D'${date:yyyy}'&fields=id,a.b&pageSize=10&orderBy=id%20asc",
    ),
    "hub_route": (b"company/contacts/1?where=id=1&fields=id&orderBy=id desc&page=2&pageSize=3&nextPage=e30",),
    "request_body": (
        b'{"baseUrl": "https://a.example/v4_6_release/apis/3.0", "company": "a", "public.key": "b", "private.key": "c",'
        b' "event.notification.callback.url": "https://1.1.1.1/", "event.notification.callback.headers": {"A": "b"},'
        b' "event.poller.refresh_interval": "15", "event.poller.configuration": {"contacts": {"pageSize": "5"}}}',
    ),
    "poll_configuration": (
        b'{"url": "/hubs/crm/contacts?where=id>1", "idField": "id", "datesConfiguration": {"updatedDateField": "a.b",'
        b' "updatedDateFormat": "yyyy", "createdCheckTolerance": 5}, "pageSize": "10", "detectDeletes": "yes"}',
    ),
    "answer": (
        b'Date: Sun, 01 Mar 2026 12:00:00 GMT\nLink: <https://a/b?page=2>; rel="next"\n\n'
        b'[{"id": 1, "_info": {"lastUpdated": "2026-03-01T12:00:00Z"}, "a_href": "x", "n": null}, {"id": 2}]',
        b'\n\n[{"id": 1, "x": "\\ud800", "y": 1e400, "z": NaN, "w": "\\u0000", "id": 2}]',
        b'\n\n{"count": 3}',
    ),
    "refusal": (
        b'\x00\x64Retry-After: 5\n\n{"code": "InvalidObject", "message": "no", "errors": [{"message": "field"}]}',
        b"\x00\xc8Retry-After: Sun, 01 Mar 2026 12:00:09 GMT\n\n<html><title>Bad Gateway</title>",
    ),
    "reply": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRetry-After: 5\r\nX: a\r\n b\r\n\r\nok",
        b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nLocation: //x\r\n\r\n\x1f\x8b",
    ),
    "authorization": (b"User abc+/=, Organization def, Element: ghi",),
    "retry_after": (b"120", b"Sun, 01 Mar 2026 12:00:09 GMT"),
    "email_url": (b"smtp+tls://u:p%40@mail.example.com:587/?to=a@b.c,d@e.f&from=g@h.i",),
    "setting": (b"0, 5s, 5m, 2h", b"10.0.0.0/8, ::1/128", b"Europe/Berlin", b"on"),
}


def _parts(data: bytes) -> tuple[CaseInsensitiveDict[str], bytes]:
    head, _, body = data.partition(b"\n\n")
    pairs = (line.partition(":") for line in head.decode("latin-1").split("\n") if ":" in line)
    return CaseInsensitiveDict({name.strip(): value.strip() for name, _, value in pairs}), body


class _Answering(OutboundClient):
    """A door that gives one reply to everything."""

    def __init__(self, reply: Reply) -> None:  # the real one's is costly, and opens what is not needed here
        self._reply = reply

    def request(self, *_: Any, **__: Any) -> Reply:
        """Return it."""
        return self._reply


def _client(reply: Reply) -> Client:
    keys = Credentials(base_url="https://a.example", company="a", public_key="b", private_key=_SECRET, client_id="")
    return Client(keys, _Answering(reply))
