"""What a callback says and who signed it: the bodies recorded at a real site in 2026, and what else may come."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from cwconnect.connectwise.callbacks.announcements import UnreadableBodyError, read_announcement
from cwconnect.connectwise.callbacks.signatures import (
    KeyRefusedError,
    check_key_url,
    is_signed,
    read_signing_key,
)
from cwconnect.connectwise.callbacks.types import paths_of_type, type_of_path, types_of_paths

# As recorded, shortened where the recording's notes shorten it.
RECORDED = (
    rb'{"Action":"updated","CallbackObjectRecId":26604,"CompanyId":"Cobalt","Entity":"{\"id\":57961,\"firstName\":'
    rb"\"Ruth\",\"_info\":{\"lastUpdated\":\"2026-06-09T21:59:49Z\"}}"
    rb'","FromUrl":"sandbox-na.myconnectwise.net","ID":57961,"MemberId":"zadmin1",'
    rb'"MessageId":"6dd82302-2f0a-4d0f-8d0e-0c8f2c0b5f1e","Metadata":{"key_url":"https://sandbox-na.myconnectwise.net/'
    rb'v2025_1//system/callbackkey/index.rails?companyName=Cobalt&id=e17e"},"PartnerId":"p","ProductInstanceId":"i",'
    rb'"Type":"contact"}'
)
SITE = "https://api-sandbox-na.myconnectwise.net/v4_6_release/apis/3.0"


def altered(**members: Any) -> bytes:
    return json.dumps(json.loads(RECORDED) | members).encode()


def test_a_recorded_body_is_taken_whole() -> None:
    said = read_announcement(RECORDED)
    assert (said.type, said.action, said.record_id, said.company, said.entry_id, said.deleted) == (
        *("contact", "updated", 57961, "Cobalt", 26604),
        False,
    )
    check_key_url(said.key_url, base_url=SITE, company="cobalt")


def test_a_delete_has_no_record() -> None:
    said = read_announcement(altered(Action="deleted", Entity=None))
    assert said.deleted
    assert said.record_type is None


@pytest.mark.parametrize("action", ["added", "Updated", "merged", "inactivated"])
def test_other_actions_wake_too(action: str) -> None:
    said = read_announcement(altered(Action=action))
    assert (said.action, said.deleted) == (action.lower(), False)


@pytest.mark.parametrize(
    "entity", ["", "no JSON", "[]", '{"recordType":1}', "{", 7, {"id": 1}, '{"a":"\ud800"}', "[" * 5000]
)
def test_a_record_that_can_not_be_read_is_none(entity: object) -> None:
    assert read_announcement(altered(Entity=entity)).record_type is None


def test_bytes_that_are_no_utf8_are_read_all_the_same() -> None:
    assert read_announcement(RECORDED.replace(b"Ruth", b"Ren\xe9\xff")).record_id == 57961


@pytest.mark.parametrize("members", [{"ID": "57961"}, {"CallbackObjectRecId": "26604"}])
def test_numbers_may_be_texts(members: dict[str, str]) -> None:
    said = read_announcement(altered(**members))
    assert (said.record_id, said.entry_id) == (57961, 26604)


@pytest.mark.parametrize("name", ["Action", "CallbackObjectRecId", "CompanyId", "ID", "Metadata", "Type"])
@pytest.mark.parametrize("value", [None, "", [], {}, True, -1, 1.5, "x" * 3000, "a\x00b"])
def test_without_what_is_needed_nothing_is_announced(name: str, value: object) -> None:
    with pytest.raises(UnreadableBodyError):
        read_announcement(altered(**{name: value}))


def test_the_signature_is_an_hmac_under_the_keys_hash() -> None:
    key = hashlib.sha256(b"a key").digest()
    signature = base64.b64encode(hmac.digest(key, RECORDED, "sha256")).decode()
    assert is_signed(RECORDED, signature, "a key")
    assert is_signed(RECORDED, f" {signature}\n", "a key")
    assert not is_signed(RECORDED, signature, "another key")
    assert not is_signed(RECORDED + b" ", signature, "a key")
    assert not is_signed(RECORDED, base64.b64encode(hmac.digest(b"a key", RECORDED, "sha256")).decode(), "a key")


def test_a_key_is_read_whatever_its_type() -> None:
    assert read_signing_key(b'{"signing_key":"abc"}') == "abc"
    assert read_signing_key(b'\xef\xbb\xbf {"signing_key": "abc", "x": 1}\r\n') == "abc"
    for body in (b"", b"abc", b"[]", b'{"signing_key":""}', b'{"signing_key":1}', b'{"signing_key":"' + b"x" * 2000):
        with pytest.raises(KeyRefusedError):
            read_signing_key(body)


@pytest.mark.parametrize(
    ("base_url", "origin"),
    [
        (SITE, "https://sandbox-na.myconnectwise.net"),
        (SITE, "https://api-sandbox-na.myconnectwise.net:443"),
        ("https://sandbox-na.myconnectwise.net/v4_6_release/apis/3.0", "https://API-sandbox-na.myconnectwise.net"),
        ("https://cw.example.com:8443/v4_6_release/apis/3.0", "https://cw.example.com:8443"),
        ("https://cw.example.com:8443/v4_6_release/apis/3.0", "https://cw.example.com"),
        ("http://127.0.0.1:8100/v4_6_release/apis/3.0", "http://127.0.0.1:8100"),
    ],
)
def test_a_key_comes_from_the_instances_own_site(base_url: str, origin: str) -> None:
    check_key_url(
        f"{origin}/v2025_1//system/callbackkey/index.rails?companyName=COBALT&id=e17e",
        base_url=base_url,
        company="cobalt",
    )


def test_each_list_has_its_type_and_tickets_share_one() -> None:
    assert type_of_path("/Company/Contacts") == "contact"
    assert type_of_path("/company/contacts/17/notes") is None
    assert types_of_paths(["/service/tickets", "/project/tickets", "/time/entries", "/x"]) == {"ticket", "time"}
    assert paths_of_type("ticket") == {"/service/tickets", "/project/tickets"}
    assert paths_of_type("ticket", "ProjectIssue") == {"/project/tickets"}
    assert paths_of_type("ticket", "ServiceTicket") == {"/service/tickets"}
    assert paths_of_type("nothing") == set()
