"""Parameters and headers said twice, or in two places: no second word passes what the first was checked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api_caller import Api
from tests.support.rows import make_instance

pytestmark = pytest.mark.django_db
QUERIES = (
    *("searchText=theirs&searchText=ours", "organization={1}", "organization_id={1}", "organization__id={1}", "id={0}"),
    *(
        "instance={0}",
        "user={1}",
        "tags[]=theirs",
        "tags=theirs",
        "tags[]=ours&tags[]=theirs",
        "pageSize=1&pageSize=1000",
    ),
    *(
        "nextPage={0}",
        "pk__gt=0",
        "name__icontains=theirs",
        "searchText[$ne]=x",
        "searchText%00=theirs",
        "_method=DELETE",
    ),
    *("Authorization=User", "token={0}", "access_token=a", "format=api", "callback=evil", "fields=organization", "?"),
)


@pytest.mark.parametrize("query", QUERIES)
def test_no_parameter_widens_what_is_listed(api: Api, other_tenant: Any, query: str) -> None:
    make_instance(api.tenant.organization, name="ours", tags=["ours"])
    theirs = make_instance(other_tenant.organization, name="theirs", tags=["theirs"])
    asked = query.format(theirs.pk, other_tenant.organization.pk)
    for path in ("/instances", "/elements/connectwisecrmrest/instances", "/v1/events", "/v1/deliveries"):
        answer = api("GET", f"{path}?{asked}")
        assert answer.status_code in (200, 400, 404), (path, answer.content)
        assert answer.headers["Content-Type"] == "application/json", path
        assert b"theirs" not in answer.content or b'"message"' in answer.content, path


STRICT = (
    "after=0&after=1",
    "limit=1&limit=1000",
    "kind=CREATED&kind=DELETED",
    "limit=1001",
    "limit=-1",
    "limit=1.5",
    "filter={}&filter={}",
    "wait=1&wait=60",
    "x=1",
)


@pytest.mark.parametrize("query", STRICT)
def test_v1_reads_no_parameter_in_two_ways(api: Api, query: str) -> None:
    answer = api("GET", f"/v1/events?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["message"]


METHODS = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method")


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH"])
def test_no_header_or_field_makes_a_get_another_method(api: Api, name: str, method: str) -> None:
    own = make_instance(api.tenant.organization)
    headers = {"Authorization": api.tenant.auth, name: method}
    answer = api.client.get(f"/instances/{own.pk}?{name}={method}", headers=headers)
    assert answer.status_code == 200
    assert answer.json()["id"] == own.pk
    own.refresh_from_db()
    assert own.disabled is False


KEYS = ("X-Forwarded-Host", "X-Host", "X-Forwarded-Scheme", "X-Original-URL", "X-Forwarded-Prefix", "X-Forwarded-Port")


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("path", ["/app/signin", "/api/schema", "/api/docs", "/healthz", "/x", "/instances"])
def test_no_header_that_caches_leave_out_of_their_key_changes_an_answer(api: Api, name: str, path: str) -> None:
    poisoned = api.client.get(path, headers={name: "evil.example"})
    assert b"evil" not in poisoned.content
    assert all("evil" not in value for value in poisoned.headers.values())
    assert poisoned.status_code == api.client.get(path).status_code
