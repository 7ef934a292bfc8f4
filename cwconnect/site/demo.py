"""What `manage.py up --demo` adds: a sandbox, a receiver, and an instance between them, made as an integrator would.

The sandbox keeps its records in the data folder, so a second demo goes on where the first one ended, with the same
instance. Where the sandbox begins anew, because its file is gone, the instance of the demo before is deleted and a new
one made: its snapshots would describe a ConnectWise that is no more.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model

from cwconnect.outbound import CONNECTWISE_LIMITS, OutboundClient
from instances.credentials.issuing import issue_secrets
from instances.models import Instance, Membership, Organization, Role

ORGANIZATION = "Demo"
TAG = "Demo"
LOGIN = "demo"
COMPANY = "demo"
RECORDS = "contacts=1000,incidents=500"
CHANGES_PER_MINUTE = 30
POLL_EVERY_MINUTES = 1
LOOPBACK = "127.0.0.0/8"
SANDBOX_FILE = "demo-sandbox.sqlite3"

# What each run of the demo has anew, and an instance that goes on is given.
_OF_A_RUN = ("public.key", "private.key", "event.notification.callback.url", "event.notification.signature.key")

_DATES = {
    "updatedDateField": "_info.lastUpdated",
    "updatedDateFormat": "yyyy-MM-dd'T'HH:mm:ss'Z'",
    "updatedDateTimezone": "GMT",
    "createdDateField": "_info.lastUpdated",
    "createdDateFormat": "yyyy-MM-dd'T'HH:mm:ss'Z'",
    "createdDateTimezone": "GMT",
}
_TICKET_DATES = _DATES | {"createdDateField": "_info.dateEntered"}


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _secret(bytes_: int) -> str:
    return secrets.token_hex(bytes_)


@dataclass(frozen=True)
class Demo:
    """Keys, secrets and ports of one run of the demo; nothing of it is kept but what the sandbox has in its file."""

    authorization: str = field(repr=False)
    password: str = field(repr=False, default_factory=lambda: _secret(6))
    public_key: str = field(repr=False, default_factory=lambda: _secret(8))
    private_key: str = field(repr=False, default_factory=lambda: _secret(8))
    signature_key: str = field(repr=False, default_factory=lambda: _secret(16))
    sandbox_port: int = field(default_factory=free_port)

    @property
    def sandbox_root(self) -> str:
        """The sandbox's own origin."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def sandbox_url(self) -> str:
        """The base URL of the sandbox, as an instance is given it."""
        return f"{self.sandbox_root}/v4_6_release/apis/3.0"

    @property
    def sandbox_file(self) -> Path:
        """Where the sandbox keeps its records."""
        folder: Path = settings.DATA_DIR
        return folder / SANDBOX_FILE

    @contextmanager
    def sandbox_keys(self) -> Iterator[int]:
        """Open a pipe with the sandbox's keys in it, for a child to read: a process list shows what arguments say."""
        reading, writing = os.pipe()
        with os.fdopen(writing, "w", encoding="utf-8") as stream:
            json.dump({"public": self.public_key, "private": self.private_key}, stream)
        try:
            yield reading
        finally:
            os.close(reading)

    def sandbox_arguments(self, keys: int, url: str) -> list[str]:
        """Return the arguments that start the sandbox as a child, which is handed the open file `keys`.

        `url` is where it reaches the service.
        """
        options = {
            "port": self.sandbox_port,
            "company": COMPANY,
            "keys-fd": keys,
            "data": self.sandbox_file,
            "changes-per-minute": CHANGES_PER_MINUTE,
            "callbacks-via": url,
        } | ({} if self.sandbox_file.exists() else {"records": RECORDS})
        return [
            "-m",
            "cwconnect.core.run_with_parent",
            "sandbox",
            *(f"--{name}={value}" for name, value in options.items()),
        ]


def demo_environment(port: int) -> dict[str, str]:
    """Return what the demo's children need: this machine's own addresses opened, no proxy between, where to call back.

    `port` is the service's own. The sandbox calls wherever that listens (`sandbox_arguments`).
    """
    opened = [*(str(network) for network in settings.PRIVATE_NETWORKS), LOOPBACK]
    return {
        "CWCONNECT_PRIVATE_NETWORKS": ",".join(opened),
        "CWCONNECT_HTTP_PROXY": "",
        "CWCONNECT_CALLBACK_URL": f"http://127.0.0.1:{port}",
    }


def introduction(demo: Demo, url: str, instance: int) -> str:
    """Return the lines that show a newcomer what runs, and what to try."""
    change = json.dumps({"list": "contacts", "id": 1, "fields": {"title": "Engineer"}})
    return f"""
cwconnect is up, with a demo: a ConnectWise sandbox that changes by itself, and a receiver of notifications.

  Pages          {url}/   user {LOGIN}, password {demo.password}
  Secrets        Authorization: {demo.authorization}
  Instance       {instance}, polled each minute, and at once when ConnectWise calls back
  Signature key  {demo.signature_key}
  Sandbox        {demo.sandbox_url}
                 company {COMPANY}, public key {demo.public_key}, private key {demo.private_key}, any client ID
                 goes on with this at the next demo: {demo.sandbox_file}

  The instances  curl -H 'Authorization: {demo.authorization}' {url}/instances
  Change one     curl -H 'Content-Type: application/json' -d '{change}' http://127.0.0.1:{demo.sandbox_port}/_sandbox/change

Each change that arrives at the receiver, its two signatures checked there (Ctrl-C ends everything):
"""


def accepts(port: int) -> bool:
    """Whether something listens on a port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _sandbox_port() -> int:
    """Return the port of the demo before, for it is part of what an instance connects to; a free one if it is taken."""
    for instance in Instance.objects.filter(organization__name=ORGANIZATION).order_by("-pk"):
        where = urlsplit(instance.base_url)
        if TAG in instance.tags and where.hostname == "127.0.0.1" and where.port and not accepts(where.port):
            return where.port
    return free_port()


def prepare() -> Demo:
    """Make the demo's secrets and its login to the pages anew; give them, for they can't be read again."""
    issued = issue_secrets(organization_name=ORGANIZATION, user_name=LOGIN, rotate=True)
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)  # not there yet, as a rule, beside PostgreSQL
    demo = Demo(authorization=f"User {issued.user}, Organization {issued.organization}", sandbox_port=_sandbox_port())
    person, _ = get_user_model().objects.get_or_create(username=LOGIN)
    person.is_staff = person.is_superuser = True
    person.set_password(demo.password)
    person.save()
    organization = Organization.objects.get(name=ORGANIZATION)
    Membership.objects.update_or_create(account=person, organization=organization, defaults={"role": Role.OPERATOR})
    return demo


def instance_body(demo: Demo, callback_url: str, *, callbacks: bool = False) -> dict[str, Any]:
    """Return the seed's "Example JSON with Polling", its values filled in, with tickets and a signature key added.

    `callbacks`: ConnectWise's wake its polls.
    """
    return {
        "element": {"key": "connectwisecrmrest"},
        "providerData": {"code": ""},
        "configuration": {
            "baseUrl": demo.sandbox_url,
            "company": COMPANY,
            "public.key": demo.public_key,
            "private.key": demo.private_key,
            "connectwise.clientID": "cwconnect-demo",
            "event.notification.enabled": True,
            "event.notification.callback.url": callback_url,
            "event.notification.signature.key": demo.signature_key,
            "event.callbacks.enabled": callbacks,
            "event.poller.refresh_interval": str(POLL_EVERY_MINUTES),
            "event.poller.configuration": {
                name: {
                    "url": f"/hubs/crm/{name}?where=lastUpdated>'${{gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}}'",
                    "idField": "id",
                    "datesConfiguration": dates,
                    "detectDeletes": True,
                }
                for name, dates in (("contacts", _DATES), ("incidents", _TICKET_DATES))
            },
        },
        "tags": [TAG],
        "name": "Demo",
    }


class ApiError(Exception):
    """The REST API answered something else than 200."""


class Api:
    """The service's own REST API, asked as any integrator would."""

    def __init__(self, url: str, authorization: str) -> None:
        self._url, self._authorization = url, authorization
        self._outbound_client = OutboundClient([ip_network(LOOPBACK), ip_network("::1/128")])

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send one request; give the answer's JSON, None if it has none. ApiError, OutboundError."""
        headers = {"Authorization": self._authorization, "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        reply = self._outbound_client.request(
            method, self._url + path, headers=headers, body=content, limits=CONNECTWISE_LIMITS
        )
        if reply.status != 200:
            raise ApiError(f"{method} {path} answered {reply.status}: {reply.text()}")
        return json.loads(reply.body) if reply.body else None

    def close(self) -> None:
        """Close the connection."""
        self._outbound_client.close()


def put_instance(api: Api, demo: Demo, body: dict[str, Any], begun: str) -> int:
    """Go on with the instance of the demo before, or make one from `body` in its place; give its id.

    One goes on that is connected to this sandbox, and younger than its records, which `begun` at that time (UTC, as the
    API writes it). All else that people have set about it stays. Raises ApiError, OutboundError.
    """
    kept = None
    for instance in api.ask("GET", f"/instances?tags[]={TAG}"):
        url = instance["configuration"].get("baseUrl")
        if kept is None and url == demo.sandbox_url and instance["createdDate"] >= begun:
            kept = int(instance["id"])
        else:
            api.ask("DELETE", f"/instances/{instance['id']}")
    if kept is not None:
        try:
            of_this_run = {name: body["configuration"][name] for name in _OF_A_RUN}
            api.ask("PATCH", f"/instances/{kept}", {"configuration": of_this_run})
        except ApiError:  # people made something of it that can't go on, such as a password for the receiver before
            api.ask("DELETE", f"/instances/{kept}")
        else:
            return kept
    return int(api.ask("POST", "/instances", body)["id"])
