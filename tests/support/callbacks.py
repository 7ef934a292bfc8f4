"""Callbacks as ConnectWise sends them: recorded bodies, signed, posted to the receiver of a watched instance."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from instances.models import Instance
from instances.secrets import Secret, hash_token
from polling.callbacks.signing_keys import forget_keys, keep_key
from polling.detection.watching import site_key
from polling.models import CallbackEndpoint, CallbackHint, CallbackRegistration
from tests.support.polled_instance import PolledInstance

SIGNING_KEY = "a-signing-key"
TOKEN = "a-token-of-an-endpoint-that-nobody-else-knows"
ENTRY = 26604
POISON = "poisoned"  # what bodies say of a record, and no record ever said
_messages = itertools.count(1)


def signature_of(body: bytes, key: str = SIGNING_KEY) -> str:
    """Sign a body as ConnectWise does."""
    return base64.b64encode(hmac.digest(hashlib.sha256(key.encode()).digest(), body, "sha256")).decode()


class Announcer:
    """ConnectWise, as far as it announces changes to one instance."""

    def __init__(self, instance: Instance, *, token: str = TOKEN, entry: int = ENTRY, type_: str = "contact") -> None:
        self.instance, self.token, self.entry, self.type = instance, token, entry, type_
        site = urlsplit(instance.base_url)
        route = "/v2025_1//system/callbackkey/index.rails"
        self.key_url = f"{site.scheme}://{site.netloc}{route}?companyName={instance.company}&id=e17e"
        self.client = Client()

    def body(self, record_id: int, action: str = "updated", **members: Any) -> bytes:
        """Return a body in the recorded shape; `members` replace its own, None leaves one out."""
        said = dict.fromkeys(("title", "summary", "name"), POISON)
        entity = {"id": record_id, **said, "_info": {"lastUpdated": "2026-06-09T21:59:49Z", "updatedBy": POISON}}
        found = {
            "Action": action,
            "CallbackObjectRecId": self.entry,
            "CompanyId": self.instance.company.title(),
            "Entity": None if action == "deleted" else json.dumps(entity),
            "FromUrl": urlsplit(self.instance.base_url).netloc,
            "ID": record_id,
            "MemberId": POISON,
            "MessageId": f"6dd82302-{next(_messages)}",
            "Metadata": {"key_url": self.key_url},
            "PartnerId": POISON,
            "ProductInstanceId": POISON,
            "Type": self.type,
        } | members
        return json.dumps({name: value for name, value in found.items() if value is not ...}).encode()

    def post(self, body: bytes, signature: str | None = None, **extra: Any) -> int:
        """Post a body to the receiver; return the answer's status."""
        given = signature_of(body) if signature is None else signature
        headers = {"x-content-signature": given} if given else {}
        path = f"/callbacks/connectwise/{self.token}?recordId=17&action=updated&memberId=1"
        return self.client.post(path, body, content_type="application/json", headers=headers, **extra).status_code

    def announce(self, record_id: int, action: str = "updated", **members: Any) -> None:
        """Announce a change of a record."""
        assert self.post(self.body(record_id, action, **members)) == 200


def enable_callbacks(
    instance: Instance, *, token: str = TOKEN, entry: int = ENTRY, type_: str = "contact"
) -> Announcer:
    """Have an instance's endpoint and one registration stand as they do once ConnectWise was asked."""
    Instance.objects.filter(pk=instance.pk).update(callbacks_enabled=True)
    if not CallbackEndpoint.objects.filter(pk=instance.pk).exists():
        site = site_key(instance)
        CallbackEndpoint(instance=instance, token=Secret.of(token), token_hash=hash_token(token), site=site).save()
    CallbackRegistration.objects.create(
        instance=instance,
        type=type_,
        entry_id=entry,
        status=CallbackRegistration.Status.ACTIVE,
        active_since=timezone.now(),
    )
    return Announcer(instance, token=token, entry=entry, type_=type_)


def keep_known_key(announcer: Announcer) -> None:
    """Have the signing key be known, and no other."""
    forget_keys()
    keep_key(announcer.key_url, SIGNING_KEY)


@pytest.fixture
def announcer(watched: PolledInstance) -> Announcer:
    """The callbacks of a watched instance's contacts, with their signing key known."""
    found = enable_callbacks(watched.instance)
    keep_known_key(found)
    return found


def judged() -> list[tuple[str, str]]:
    """Return what became of each callback: status and reason."""
    return list(CallbackHint.objects.order_by("pk").values_list("status", "reason"))
