"""The hub of one instance that may be written to, by a key that may."""

from __future__ import annotations

import json
from typing import Any

from cwconnect.sandbox import SandboxServer
from instances.models import ApiUser, AuditEntry, Instance
from tests.support.api_caller import Api


class Hub:
    """Calls the hub of an instance, and says what ConnectWise was asked."""

    def __init__(self, api: Api, sandbox: SandboxServer, **configuration: Any) -> None:
        self.api, self.store = api, sandbox.store
        created = api.create(sandbox.url, **configuration)
        self.instance = Instance.objects.get(pk=created["id"])
        self.auth = f"User {api.tenant.user_secret}, Element {created['token']}"
        self.allow()

    def allow(self, *, key: bool = True, instance: bool = True) -> None:
        """Set both rights, or one."""
        ApiUser.objects.update(writes_to_connectwise=key)
        Instance.objects.update(writes_enabled=instance)

    def __call__(self, method: str, path: str, body: Any = None, *, key: str = "") -> Any:
        """Ask the hub; `key` is an Idempotency-Key. What ConnectWise was asked before is forgotten."""
        self.store.clear_requests()
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        headers = {"Authorization": self.auth} | ({"Idempotency-Key": key} if key else {})
        return self.api.client.generic(method, f"/hubs/crm/{path}", data, "application/json", headers=headers)

    @property
    def sent(self) -> list[str]:
        """The verbs that ConnectWise was asked by since the last call, reads left out."""
        return [seen.method for seen in self.store.requests if seen.method != "GET"]

    @property
    def audited(self) -> list[AuditEntry]:
        """The audit entries of writes, oldest first."""
        return list(AuditEntry.objects.filter(action__endswith="in ConnectWise").order_by("pk"))

    def everything(self) -> dict[str, Any]:
        """Return the records of the lists that tests write to, by list and id."""
        lists = ("contacts", "organizations", "incidents", "time-entries")
        return {name: {number: self.store.get(name, number) for number in self.store.ids(name)} for name in lists}
