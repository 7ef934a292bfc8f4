"""A program as integrators have written them: it speaks HTTP, knows the product's documentation, and one base URL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests

NEXT = "Elements-Next-Page-Token"


class Program:
    """Calls the product at `base_url`; raises requests' HTTPError for what is refused."""

    def __init__(self, base_url: str, user_secret: str, organization_secret: str) -> None:
        self.base_url, self.user_secret = base_url, user_secret
        self.platform = f"User {user_secret}, Organization {organization_secret}"
        self.session = requests.Session()
        self.session.trust_env = False

    def call(self, method: str, path: str, body: Any = None, *, token: str = "", **query: Any) -> requests.Response:
        """Send one request, on behalf of an instance if its token is given."""
        headers = {"Authorization": f"User {self.user_secret}, Element {token}" if token else self.platform}
        return self.session.request(
            method, self.base_url + path, json=body, headers=headers, params=query or None, timeout=20
        )

    def json(self, method: str, path: str, body: Any = None, *, token: str = "", **query: Any) -> Any:
        """Send one request that must succeed; give its answer's value."""
        answer = self.call(method, path, body, token=token, **query)
        assert answer.status_code == 200, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def pages(self, path: str, *, token: str, **query: Any) -> Iterator[list[Any]]:
        """Read a list to its end, page by page, as the documentation says."""
        while True:
            answer = self.call("GET", path, token=token, **query)
            assert answer.status_code == 200, answer.text
            assert int(answer.headers["Elements-Returned-Count"]) == len(answer.json())
            yield answer.json()
            if NEXT not in answer.headers:
                return
            query = query | {"nextPage": answer.headers[NEXT]}
