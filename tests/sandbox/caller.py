"""A plain caller of the sandbox: one kept-alive connection of the standard library, none of our own client."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlencode

from cwconnect.sandbox import SandboxServer

BASE = "/v4_6_release/apis/3.0"
CONTACTS = "/company/contacts"
Headers = dict[str, str | None]
CLIENT_ID = "7f0c1d2e-0000-4000-8000-00000000cafe"


def basic(text: str) -> str:
    """Return the Authorization header of `company+public:private`."""
    return "Basic " + base64.b64encode(text.encode()).decode()


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of a response; `json` reads the body."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """Sends requests to one sandbox, with the right login unless a header says otherwise (None leaves it out)."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()

    def send(
        self, method: str, target: str, body: object = None, headers: dict[str, str | None] | None = None
    ) -> Answer:
        login: dict[str, str | None] = {"Authorization": basic("acme+PUB:PRIV"), "clientId": CLIENT_ID}
        sent = {name: value for name, value in (login | (headers or {})).items() if value is not None}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        self.connection.request(method, target, body=data, headers=sent)
        response = self.connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    def get(self, path: str = CONTACTS, headers: Headers | None = None, **query: Any) -> Answer:
        parts = urlencode(query, quote_via=quote)
        return self.send("GET", f"{BASE}{path}{'?' + parts if parts else ''}", headers=headers)

    def post(self, path: str, body: object) -> Answer:
        return self.send("POST", BASE + path, body)

    def patch(self, path: str, *steps: dict[str, object]) -> Answer:
        return self.send("PATCH", BASE + path, [*steps])

    def control(self, operation: str, **members: object) -> Answer:
        return self.send("POST", f"/_sandbox/{operation}", members, {"Authorization": None, "clientId": None})

    def forward(self, after: int = 0, path: str = CONTACTS, **query: Any) -> Answer:
        return self.get(path, {"pagination-type": "forward-only"}, **query, pageId=after)

    def ids(self, conditions: str, path: str = CONTACTS) -> list[int]:
        """Return the ids of the rows that meet the conditions."""
        answer = self.get(path, conditions=conditions, fields="id", pageSize=1000)
        assert answer.status == 200, answer.body
        return [record["id"] for record in answer.json]

    def pages(self, size: int, **query: Any) -> Iterator[list[int]]:
        """Page forward-only to the end; give each page's ids."""
        last = 0
        while page := [record["id"] for record in self.forward(last, pageSize=size, **query).json]:
            yield page
            last = page[-1]
