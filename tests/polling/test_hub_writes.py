"""Writes to ConnectWise through an instance: the table of rights, faults and answers."""

from __future__ import annotations

from typing import Any

import pytest

from cwconnect.sandbox import SandboxServer
from instances.models import ApiUser, AuditEntry, Instance
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db


class Hub:
    """The hub of one instance that may be written to, by a key that may."""

    def __init__(self, api: Api, sandbox: SandboxServer) -> None:
        self.api, self.sandbox, self.store = api, sandbox, sandbox.store
        created = api.create(sandbox.url)
        self.instance = Instance.objects.get(pk=created["id"])
        self.auth = f"User {api.tenant.user_secret}, Element {created['token']}"
        self.allow()

    def allow(self, *, key: bool = True, instance: bool = True) -> None:
        ApiUser.objects.update(writes_to_connectwise=key)
        Instance.objects.update(writes_enabled=instance)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self.store.requests.clear()
        if given:
            self.api.client.defaults |= {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in given.items()}
        try:
            return self.api(method, f"/hubs/crm/{path}", body, auth=self.auth)
        finally:
            for name in given:
                del self.api.client.defaults[f"HTTP_{name.upper().replace('-', '_')}"]

    @property
    def sent(self) -> list[str]:
        """The verbs that ConnectWise was asked by since the last call, reads left out."""
        return [seen.method for seen in self.store.requests if seen.method != "GET"]

    @property
    def audited(self) -> list[AuditEntry]:
        """The audit entries of writes, oldest first."""
        return list(AuditEntry.objects.filter(action__endswith="in ConnectWise").order_by("pk"))


@pytest.fixture
def hub(api: Api, sandbox: SandboxServer) -> Hub:
    return Hub(api, sandbox)


def test_a_record_is_created_changed_replaced_and_deleted(hub: Hub) -> None:
    made = hub("POST", "contacts", {"firstName": "Ada", "lastName": "L", "company": {"id": "5"}})
    assert made.status_code == 200, made.content
    number = made.json()["id"]
    assert made.json()["company"]["id"] == 5
    changed = hub("PATCH", f"contacts/{number}", {"title": "Countess", "id": str(number)})
    assert (changed.status_code, changed.json()["title"], changed.json()["firstName"]) == (200, "Countess", "Ada")
    replaced = hub("PUT", f"contacts/{number}", {"firstName": "Ada", "lastName": "King"})
    assert (replaced.status_code, "title" in replaced.json()) == (200, False)
    gone = hub("DELETE", f"contacts/{number}")
    assert (gone.status_code, gone.content) == (200, b"")
    assert hub("GET", f"contacts/{number}").status_code == 404
    assert [entry.details["outcome"] for entry in hub.audited] == ["done"] * 4
