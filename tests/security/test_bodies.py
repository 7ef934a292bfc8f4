"""Bodies that two readers might read in two ways, or that cost more than they weigh: refused in words, not stored."""

from __future__ import annotations

import json

import pytest

from instances.models import Instance
from tests.support.api_caller import Api
from tests.support.rows import make_instance

pytestmark = pytest.mark.django_db
NAMED = '{"name": %s}'
DEEP = 100_000

BODIES: dict[str, str | bytes] = {
    "nothing": "",
    "blanks": "  ",
    "null": "null",
    "a list": "[]",
    "a list of the body": '[{"name": "a"}]',
    "a text": '"name"',
    "a number": "1",
    "true": "true",
    "NaN": NAMED % "NaN",
    "Infinity": NAMED % "Infinity",
    "minus Infinity": NAMED % "-Infinity",
    "a number in place of a text": NAMED % "1",
    "a huge integer": NAMED % ("9" * 5000),
    "a huge exponent": NAMED % "1e999999",
    "a list for a name": NAMED % '["a"]',
    "an object for a name": NAMED % '{"$ne": ""}',
    "half a surrogate pair": NAMED % '"\\ud800"',
    "the other half": NAMED % '"\\udc00"',
    "the halves swapped": NAMED % '"\\udc00\\ud800"',
    "half in a key": '{"\\ud800": 1}',
    "NUL": NAMED % '"a\\u0000"',
    "NUL in a key": '{"a\\u0000": 1}',
    "a raw NUL": b'{"name": "a\x00"}',
    "a raw line end": b'{"name": "a\nb"}',
    "a raw escape": b'{"name": "\x1b[31m"}',
    "Latin-1": '{"name": "é"}'.encode("latin-1"),
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "an overlong slash": b'{"name": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "cut off": '{"name": "a"',
    "two values": '{"name": "a"}{"name": "b"}',
    "a comma too many": '{"name": "a",}',
    "single quotes": "{'name': 'a'}",
    "a comment": '{"name": "a" /* b */}',
    "a form": "name=a&tags=b",
    "XML": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    "YAML": "!!python/object/apply:os.system ['id']",
    "a pickle": b"\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94.",
    "deep lists": "[" * DEEP + "]" * DEEP,
    "deep objects": '{"name":' * DEEP + "1" + "}" * DEEP,
    "deep in a known field": '{"configuration": ' + "[" * 60 + "]" * 60 + "}",
    "too long": NAMED % json.dumps("a" * (2 * 1024 * 1024)),
    "a name that is too long": NAMED % json.dumps("a" * 201),
    "too many tags": json.dumps({"tags": [str(number) for number in range(101)]}),
    "a tag that is an object": '{"tags": [{"$gt": ""}]}',
    "a polluted prototype": '{"__proto__": {"disabled": true}, "name": 1}',
    "another connector": '{"element": {"key": "../../admin"}}',
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize(("method", "path"), [("POST", "/instances"), ("PATCH", "/instances/{0}")])
def test_a_body_of_tricks_is_refused_and_changes_nothing(api: Api, name: str, method: str, path: str) -> None:
    victim = make_instance(api.tenant.organization)
    before = Instance.objects.filter(pk=victim.pk).values().get()
    answer = api(method, path.format(victim.pk), BODIES[name])
    assert answer.status_code in (400, 413), answer.content
    assert answer.json().keys() == {"requestId", "message"}
    assert list(Instance.objects.values()) == [before]


@pytest.mark.parametrize("name", [name for name in BODIES if name not in ("nothing", "blanks")])
def test_v1_refuses_it_too(api: Api, name: str) -> None:
    number = make_instance(api.tenant.organization).pk
    for path in ("/v1/secrets", f"/v1/instances/{number}/replays", f"/v1/instances/{number}/polls"):
        answer = api("POST", path, BODIES[name])
        assert answer.status_code in (400, 413), (path, answer.content)
        assert answer.json().keys() == {"requestId", "message"}, path


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data; boundary=a", "application/yaml"]
)
def test_a_body_of_another_kind_is_not_read(api: Api, kind: str) -> None:
    answer = api.client.post("/instances", b'{"name": "a"}', kind, headers={"Authorization": api.tenant.auth})
    assert answer.status_code == 415
