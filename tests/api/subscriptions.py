"""The subscriptions of one instance, as its organization asks for them by `/v1`."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Watched
from tests.support.api_caller import Api

URL = "https://receiver.example/closed"


class Subscriptions:
    """The subscriptions of one instance, as its organization asks for them."""

    def __init__(self, api: Api, watched: Watched) -> None:
        self.api, self.watched = api, watched
        self.at = f"/v1/instances/{watched.instance.pk}/subscriptions"

    def ask(self, method: str, path: str = "", body: Any = None, *, status: int = 200, **options: Any) -> Any:
        """Ask a route, see that it answers so, and return what it answers."""
        answer = self.api(method, f"{self.at}{path}", body, **options)
        assert answer.status_code == status, answer.content
        return answer.json() if answer.content else None

    def made(self, **members: Any) -> dict[str, Any]:
        """Make one."""
        made: dict[str, Any] = self.ask("POST", "", {"name": "Further", "url": URL} | members, status=201)
        return made

    def refused(self, method: str, path: str, body: Any, status: int = 400) -> str:
        """Return the words by which something is refused."""
        return str(self.ask(method, path, body, status=status)["message"])
