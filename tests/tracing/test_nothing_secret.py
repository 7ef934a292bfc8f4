"""What spans say: names of a list, and no secret, body, URL or value of a query, whatever passes through."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from cwconnect.core.logs import AboutFilter, about
from cwconnect.tracing import ATTRIBUTES, begin, provider, span
from cwconnect.tracing.middleware import TracingMiddleware
from polling.delivery.delivery_loop import deliver_due
from polling.detection.poll_loop import poll_due
from tests.conftest import Tenant
from tests.seed import example_body
from tests.support.callbacks import POISON, TOKEN, enable_callbacks, keep_known_key
from tests.support.collector import Collector
from tests.support.polled_instance import SIGNATURE_KEY, PolledInstance
from tests.support.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)

HEADER, PASSWORD, PATH, QUERY = "a-header-that-lets-in", "a-basic-password", "a-path-that-lets-in", "Grönquist"


def test_no_span_holds_what_passes_through_the_service(
    world: PolledInstance, tenant: Tenant, receiver: Receiver, collector: Collector
) -> None:
    receiver.answer = lambda got: (500, {"X-Echo": HEADER})
    receiver.body = lambda got: got.body + str(got.headers).encode()
    world.watch(
        callback_url=f"{receiver.url}/{PATH}?token={PATH}",
        event__notification__callback__headers=json.dumps({"X-Key": HEADER}),
        event__notification__basic__username="ann",
        event__notification__basic__password=PASSWORD,
        event__notification__signature__key=SIGNATURE_KEY,
    )
    announcer = enable_callbacks(world.instance)
    keep_known_key(announcer)
    world.poll()
    world.change(17, f"Owner {QUERY}")
    announcer.announce(17)
    poll_due(deadline=float("inf"))
    deliver_due(deadline=float("inf"))
    world.store.change("contacts", 18, {"title": QUERY})
    world.store.fail_next(2, status=400, body={"code": "InvalidObject", "message": f"{QUERY} is refused, {PASSWORD}"})
    world.poll()
    ask_the_web(tenant, world.sandbox.url)
    provider.flush()
    sent = b"".join(got.body for got in collector.receiver.got)
    secrets = [*(HEADER, PASSWORD, PATH, QUERY, SIGNATURE_KEY, TOKEN, POISON), *keys_of(world, tenant)]
    assert [secret for secret in secrets if secret.encode() in sent] == []
    assert {"deliver", "poll", "judge callback"} <= {one.name for one in collector.spans()}
    assert {name for one in collector.spans() for name in one.attributes} <= set(ATTRIBUTES)


def ask_the_web(tenant: Tenant, url: str) -> None:
    """Ask what is answered and what is refused, with secrets wherever one may put them."""
    client = Client(raise_request_exception=False)
    headers: dict[str, Any] = {"Authorization": tenant.auth, "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    for path in (f"/instances?where={QUERY}", f"/v1/events?record={QUERY}", f"/nowhere/{PATH}", f"/app/find?q={QUERY}"):
        client.get(path, headers=headers)
    client.post("/instances", json.dumps(example_body(url)), content_type="application/json", headers=headers)
    client.generic(f"X{PATH}", "/instances", headers=headers)


def keys_of(world: PolledInstance, tenant: Tenant) -> list[str]:
    """Return the secrets of the instance and of who asks."""
    kept = (world.instance.public_key, world.instance.private_key)
    return [tenant.user_secret, tenant.organization_secret, *(secret.reveal() for secret in kept)]


def test_a_web_request_says_its_route_and_its_status_and_begins_a_trace(tenant: Tenant, collector: Collector) -> None:
    given = "ab" * 16
    headers = {"Authorization": tenant.auth, "traceparent": f"00-{given}-{'cd' * 8}-01"}
    answer = Client().get("/instances/4711", headers=headers)
    provider.flush()
    [asked] = collector.spans()
    assert asked.name == "GET /instances/<number>"
    assert asked.attributes["http.response.status_code"] == 404
    assert asked.attributes["cwconnect.request_id"] == answer.headers["Elements-Request-Id"]
    assert asked.trace_id != given


def test_a_span_says_nothing_that_is_not_listed(collector: Collector) -> None:
    with pytest.raises(KeyError, match=r"http\.url"):
        begin("a span", {"http.url": "https://a.example/?token=x"})


def test_an_exception_is_said_by_its_type_and_place_alone(collector: Collector) -> None:
    with pytest.raises(ValueError, match=PASSWORD), span("a span"):
        int(PASSWORD)
    provider.flush()
    [failed] = collector.spans()
    assert failed.failed
    assert failed.attributes["error.type"] == "ValueError"
    assert "test_nothing_secret.py" in failed.text
    assert PASSWORD not in failed.text


def test_what_a_view_raises_is_said_by_its_type(collector: Collector) -> None:
    def answer(request: HttpRequest) -> HttpResponse:
        traced.process_exception(request, LookupError(PASSWORD))
        return HttpResponse(status=500)

    traced = TracingMiddleware(answer)
    traced(RequestFactory().get(f"/nowhere/{PATH}?q={QUERY}"))
    provider.flush()
    [failed] = collector.spans()
    assert (failed.name, failed.failed, failed.attributes["error.type"]) == ("GET", True, "LookupError")
    assert not {PASSWORD, PATH, QUERY} & set(failed.text.replace('"', " ").replace("/", " ").split())


def test_log_lines_of_a_span_carry_its_trace(collector: Collector) -> None:
    with span("a span") as begun, about(run_id=4):
        assert begun is not None
        record = logging.makeLogRecord({"msg": "something"})
        AboutFilter().filter(record)
    assert (vars(record)["trace_id"], vars(record)["run_id"]) == (begun.trace_id, 4)
