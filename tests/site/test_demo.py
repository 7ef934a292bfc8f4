"""The demo's instance: which one goes on, and which sandbox it is offered."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from cwconnect.site.demo import (
    ORGANIZATION,
    SANDBOX_FILE,
    TAG,
    Api,
    ApiError,
    Demo,
    instance_body,
    prepare,
    put_instance,
)
from instances.models import Instance, Organization
from instances.secrets import Secret

BEGUN = "2026-05-04T12:00:00Z"
DEMO = Demo("User a, Organization b", sandbox_port=8123)
BODY = instance_body(DEMO, "http://127.0.0.1:9/notifications", callbacks=True)


class RecordedApi(Api):
    """The API's part of the demo: holds instances, and notes what was asked of it."""

    def __init__(self, *instances: dict[str, Any], refused: bool = False) -> None:
        self.instances, self.refused = instances, refused
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[Any] = []

    def ask(self, method: str, path: str, body: object = None) -> Any:
        if method == "GET":
            return [*self.instances]
        self.asked.append((method, path))
        self.bodies.append(body)
        if method == "PATCH" and self.refused:
            raise ApiError("PATCH answered 400")
        return {"id": 99}


def instance(number: int, created: str = "2026-05-04T12:00:01Z", url: str = DEMO.sandbox_url) -> dict[str, Any]:
    return {"id": number, "createdDate": created, "configuration": {"baseUrl": url}}


@pytest.mark.parametrize(
    ("api", "chosen", "asked"),
    [
        (RecordedApi(), 99, [("POST", "/instances")]),
        (RecordedApi(instance(7)), 7, [("PATCH", "/instances/7")]),
        (RecordedApi(instance(7), instance(6)), 7, [("DELETE", "/instances/6"), ("PATCH", "/instances/7")]),
        (RecordedApi(instance(7, "2026-05-04T11:59:59Z")), 99, [("DELETE", "/instances/7"), ("POST", "/instances")]),
        (
            RecordedApi(instance(7, url="http://127.0.0.1:8124/v4_6_release/apis/3.0")),
            99,
            [("DELETE", "/instances/7"), ("POST", "/instances")],
        ),
        (
            RecordedApi(instance(7), refused=True),
            99,
            [("PATCH", "/instances/7"), ("DELETE", "/instances/7"), ("POST", "/instances")],
        ),
    ],
    ids=["none", "goes on", "the newest", "older than the records", "another sandbox", "refused"],
)
def test_the_instance_that_knows_the_sandboxs_records_goes_on(
    api: RecordedApi, chosen: int, asked: list[tuple[str, str]]
) -> None:
    assert put_instance(api, DEMO, BODY, BEGUN) == chosen
    assert api.asked == asked


def test_one_that_goes_on_is_given_what_is_new_and_keeps_its_polls() -> None:
    api = RecordedApi(instance(7))
    put_instance(api, DEMO, BODY, BEGUN)
    given = api.bodies[0]["configuration"]
    assert given == {name: BODY["configuration"][name] for name in given}
    assert given.keys() == {
        *("public.key", "private.key"),
        *("event.notification.callback.url", "event.notification.signature.key"),
    }


@pytest.mark.django_db
def test_the_sandbox_listens_where_the_instance_looks_for_it(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "not there yet"
    organization = Organization.objects.create(name=ORGANIZATION)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        url = f"http://127.0.0.1:{port}/v4_6_release/apis/3.0"
        keys = {"public_key": Secret.of("a"), "private_key": Secret.of("b")}
        Instance.objects.create(organization=organization, name="Demo", tags=[TAG], base_url=url, **keys)
        assert prepare().sandbox_port not in {port, 0}
    demo = prepare()
    assert (demo.sandbox_port, demo.sandbox_file) == (port, tmp_path / "not there yet" / SANDBOX_FILE)
    assert "--records" in " ".join(demo.sandbox_arguments(3, "http://127.0.0.1:8000"))
    demo.sandbox_file.touch()
    assert "--records" not in " ".join(demo.sandbox_arguments(3, "http://127.0.0.1:8000"))
