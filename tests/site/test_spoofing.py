"""A table of attacks by path, header, cookie and redirect: what HTTP lets a caller claim, and none of it believed."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as ours
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from instances.models import Role
from tests.conftest import Tenant
from tests.site.test_attacks import person
from tests.support.victim import WORD, Victim

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"
ABROAD = "203.0.113.9"

PATHS = (
    *("//{0}", "///{0}", "/.//{0}", "/./{0}", "/x/../{0}", "/x/%2e%2e/{0}", "/%2e/{0}", "/%2f{0}", "/%252e%252e/{0}"),
    *("/{0}/", "/{0}//", "/{0}/.", "/{0}/..", "/{0}/%2e", "/{0};", "/{0};a=b", "/;/{0}", "/x;/../{0}", "/{0}%3b"),
    *("/{0}%00", "/{0}%0a", "/{0}%0d%0aX:1", "/{0}%09", "/{0}%20", "/%20{0}", "/{0}%c0%af", "/{0}%ff", "/{0}.json"),
    *("/{0}?format=api", "/{0}?.css", "/{0}%3f.css", "/{0}/a.css", "/{0}\\", "/\\{0}", "/{0}%5c", "/x\\..\\{0}"),
    *("/elements/api-v2/{0}", "/elements/api-v2//{0}", "/elements/api-v2/elements/api-v2/{0}", "/ELEMENTS/API-V2/{0}"),
    *("/elements/api-v2/../{0}", "/elements%2fapi-v2/{0}", "/healthz/../{0}", "/healthz/{0}", "/healthz;/{0}"),
    *("/static/../{0}", "/static/%2e%2e/{0}", "/static/..%2f{0}", "/api/schema/../{0}", "/api/docs/../../{0}"),
    *("/metrics/../{0}", "/admin/login/../../{0}", "/app/signin/../../{0}", "/readyz/..;/{0}", "/*/{0}", "/~/{0}"),
)
TARGETS = ("instances/{number}", "app/instances/{number}", "v1/instances/{number}/polls", "admin/instances/instance/")

HEADERS = {
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Host": "localhost",
    "X-Forwarded-Server": "localhost",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Scheme": "https",
    "X-Forwarded-Prefix": "/admin",
    "X-Forwarded-User": "admin",
    "X-Forwarded-Email": "admin@example.com",
    "X-Forwarded-Groups": "admin",
    "X-Forwarded-Access-Token": "admin",
    "Forwarded": "for=127.0.0.1;host=localhost;proto=https",
    "X-Real-IP": "127.0.0.1",
    "X-Client-IP": "127.0.0.1",
    "Client-IP": "127.0.0.1",
    "True-Client-IP": "127.0.0.1",
    "CF-Connecting-IP": "127.0.0.1",
    "X-Cluster-Client-IP": "127.0.0.1",
    "X-Originating-IP": "127.0.0.1",
    "X-Remote-IP": "127.0.0.1",
    "X-Remote-Addr": "127.0.0.1",
    "X-Custom-IP-Authorization": "127.0.0.1",
    "Remote-User": "admin",
    "X-Remote-User": "admin",
    "X-User": "admin",
    "X-Auth-User": "admin",
    "X-WEBAUTH-USER": "admin",
    "X-SSL-Client-Verify": "SUCCESS",
    "X-SSL-Client-S-DN": "CN=admin",
    "X-Original-URL": "/healthz",
    "X-Rewrite-URL": "/healthz",
    "X-Original-Method": "GET",
    "X-HTTP-Method": "HEAD",
    "X-HTTP-Method-Override": "OPTIONS",
    "X-Method-Override": "OPTIONS",
    "X-CSRFToken": "a",
    "X-Requested-With": "XMLHttpRequest",
    "HX-Request": "true",
    "HX-Boosted": "true",
    "Proxy-Authorization": "Basic YWRtaW46YWRtaW4=",
    "X-Api-Key": "admin",
    "Cookie": "sessionid=admin; is_admin=1; _auth_user_id=1",
    "Upgrade": "websocket, h2c",
    "Sec-WebSocket-Protocol": "admin",
    "Accept": "text/html",
    "Range": "bytes=0-",
}


def urls(victim: Victim) -> list[str]:
    return [target.format(number=victim.instance.pk) for target in TARGETS]


def test_the_table_is_long_enough() -> None:
    assert len(PATHS) * len(TARGETS) + len(HEADERS) * len(TARGETS) > 80


@pytest.mark.parametrize("spelling", PATHS)
def test_no_spelling_of_a_path_leads_past_the_door(victim: Victim, spelling: str) -> None:
    for url in urls(victim):
        answer = Client(raise_request_exception=False).get(spelling.format(url))
        assert answer.status_code in (301, 302, 400, 401, 403, 404), url
        assert WORD not in answer.content.decode()
        assert urlsplit(answer.headers.get("Location", "")).netloc in ("", "testserver")


@pytest.mark.parametrize("spelling", PATHS)
def test_no_spelling_of_a_path_leads_into_another_organization(
    victim: Victim, other_tenant: Tenant, spelling: str
) -> None:
    client = person(other_tenant.organization)
    for url in urls(victim):
        answer = client.get(spelling.format(url), headers={"Authorization": other_tenant.auth})
        assert WORD not in answer.content.decode(), url


@pytest.mark.parametrize("header", HEADERS)
def test_no_header_opens_the_door(victim: Victim, header: str) -> None:
    before = victim.snapshot()
    for url in urls(victim):
        for method in ("GET", "POST", "DELETE"):
            client = Client(raise_request_exception=False, REMOTE_ADDR=ABROAD)
            answer = client.generic(method, f"/{url}", headers={header: HEADERS[header]})
            assert answer.status_code in (302, 401, 403, 406), (method, url)
            assert WORD not in answer.content.decode()
    assert victim.snapshot() == before


@pytest.mark.parametrize("header", [name for name in HEADERS if "127.0.0.1" in HEADERS[name]])
def test_no_header_makes_a_caller_this_very_machine(header: str) -> None:
    assert Client(REMOTE_ADDR=ABROAD).get("/metrics", headers={header: HEADERS[header]}).status_code == 401


@pytest.mark.parametrize("header", [name for name in HEADERS if "127.0.0.1" in HEADERS[name]])
def test_no_header_evades_the_count_of_guesses(header: str) -> None:
    User.objects.create_user("olga", password=PASSWORD)
    for number in range(10):
        guess = {"username": "olga", "password": "wrong"}
        Client(REMOTE_ADDR=ABROAD).post("/app/signin", guess, headers={header: f"198.51.100.{number}"})
    right = {"username": "olga", "password": PASSWORD}
    answer = Client(REMOTE_ADDR=ABROAD).post("/app/signin", right, headers={header: "198.51.100.99"})
    assert answer.status_code == 429


@pytest.mark.parametrize("how", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "query", "body"])
def test_a_method_can_not_be_smuggled_into_another(victim: Victim, how: str) -> None:
    auth = {"Authorization": victim.tenant.auth}
    headers = auth | ({how: "DELETE"} if how.startswith("X-") else {})
    query = "?_method=DELETE&method=DELETE" if how == "query" else ""
    path = f"/instances/{victim.instance.pk}{query}"
    before = victim.snapshot()
    assert Client().get(path, headers=headers).status_code == 200
    Client().post(path, {"_method": "DELETE"} if how == "body" else {}, headers=headers)
    assert victim.snapshot() == before


# -- sessions and cookies ----------------------------------------------------------------------------------------------


@pytest.fixture
def olga(victim: Victim) -> User:
    return User.objects.create_superuser("olga", password=PASSWORD)


def sign_in(client: Client, **extra: Any) -> Any:
    return client.post("/app/signin", {"username": "olga", "password": PASSWORD} | extra)


@pytest.mark.usefixtures("olga")
def test_a_session_id_that_somebody_planted_is_worth_nothing_after_sign_in() -> None:
    planted = Client()
    planted.get("/app/signin")
    planted.session.save()
    planted.cookies[ours.SESSION_COOKIE_NAME] = "a" * 32
    assert sign_in(planted).status_code == 302
    assert planted.cookies[ours.SESSION_COOKIE_NAME].value != "a" * 32
    attacker = Client()
    attacker.cookies[ours.SESSION_COOKIE_NAME] = "a" * 32
    assert attacker.get("/admin/").status_code == 302


@pytest.mark.usefixtures("olga")
def test_a_session_that_was_ended_stays_ended() -> None:
    client = Client()
    sign_in(client)
    kept = client.cookies[ours.SESSION_COOKIE_NAME].value
    assert client.post("/app/signout").status_code == 302
    thief = Client()
    thief.cookies[ours.SESSION_COOKIE_NAME] = kept
    assert thief.get("/admin/").status_code == 302


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://testserver.evil.example", "https://testserver"]
)
def test_a_token_tossed_by_a_neighbouring_site_does_not_serve_it(olga: User, origin: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(olga)
    client.cookies["csrftoken"] = "a" * 32
    form = {"csrfmiddlewaretoken": "a" * 32}
    assert client.post("/app/signout", form, headers={"Origin": origin}).status_code == 403


def test_every_form_of_the_pages_wants_a_token(victim: Victim) -> None:
    client = person(victim.tenant.organization)
    client.handler.enforce_csrf_checks = True
    before = victim.snapshot()
    for action in ("delete", "disable", "pause", "release", "poll", "test", "settings", "connection"):
        answer = client.post(f"/app/instances/{victim.instance.pk}/{action}")
        assert answer.status_code in (403, 404, 405), action
    assert victim.snapshot() == before


def test_a_session_of_the_pages_opens_no_route_of_the_api(victim: Victim) -> None:
    client = person(victim.tenant.organization)
    for path in ("/instances", f"/instances/{victim.instance.pk}", "/v1/events", "/instances/events"):
        assert client.get(path).status_code == 401
    assert client.delete(f"/instances/{victim.instance.pk}").status_code == 401


def test_secrets_of_the_api_open_no_page(victim: Victim) -> None:
    for path in ("/", f"/app/instances/{victim.instance.pk}", "/admin/"):
        assert Client().get(path, headers={"Authorization": victim.tenant.auth}).status_code == 302


@pytest.mark.parametrize("is_staff", [False, True])
def test_staff_without_rights_and_people_without_staff_see_nothing_in_the_admin(victim: Victim, is_staff: bool) -> None:
    account = User.objects.create_user("eva", password=PASSWORD, is_staff=is_staff)
    client = Client()
    client.force_login(account)
    paths = set(re.findall(r'href="(/admin/[^"]+)"', _as_superuser("/admin/")))
    assert len(paths) > 15
    for path in sorted(path for path in paths if not re.search("logout|password_change|jsi18n", path)):
        answer = client.get(path)
        assert answer.status_code in (302, 403, 404), path
        assert WORD not in answer.content.decode()


def _as_superuser(path: str) -> str:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=PASSWORD))
    return client.get(path).content.decode()


def test_a_viewer_does_nothing_that_is_an_operators(victim: Victim) -> None:
    operator = person(victim.tenant.organization)
    page = operator.get(f"/app/instances/{victim.instance.pk}").content.decode()
    actions = set(re.findall(r'(?:action|hx-post)="(/[^"]+)"', page)) - {"/app/signout"}
    assert actions
    User.objects.all().delete()
    viewer, before = person(victim.tenant.organization, role=Role.VIEWER), victim.snapshot()
    for action in sorted(actions):
        assert viewer.post(action).status_code in (403, 404, 405), action
    assert victim.snapshot() == before


# -- where an answer leads ---------------------------------------------------------------------------------------------

ELSEWHERE = (
    *(
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "/\\evil.example",
        "\\\\evil.example",
    ),
    *(
        "http:evil.example",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "HTTPS://evil.example",
    ),
    *(
        "/\t/evil.example",
        "\thttps://evil.example",
        " https://evil.example",
        "/%09/evil.example",
        "//evil.example\\@testserver",
    ),
    *("//testserver@evil.example", "https://testserver.evil.example", "javascript:alert(1)", "JaVaScRiPt:alert(1)"),
    *("data:text/html,x", "//evil.example/%2f..", "/..//evil.example", "https://evil.example#testserver", "//[::1]/"),
    *("//evil%E3%80%82example", "/\x00/evil.example", "https://evil.example\r\nX-Header: 1"),
)


@pytest.mark.usefixtures("olga")
@pytest.mark.parametrize("outbound_client", ["/app/signin", "/admin/login/"])
@pytest.mark.parametrize("target", ELSEWHERE)
def test_a_sign_in_leads_nowhere_else(outbound_client: str, target: str) -> None:
    client = Client()
    answer = client.post(outbound_client, {"username": "olga", "password": PASSWORD, "next": target})
    assert answer.status_code in (302, 400)
    _assert_here(answer.headers.get("Location", "/"))
    assert "X-Header" not in answer.headers


@pytest.mark.usefixtures("olga")
@pytest.mark.parametrize("target", ELSEWHERE)
def test_a_sign_out_leads_nowhere_else(target: str) -> None:
    client = Client()
    sign_in(client)
    answer = client.post("/app/signout", {"next": target})
    assert answer.status_code == 302
    _assert_here(answer.headers["Location"])


def _assert_here(location: str) -> None:
    assert re.match(r"/(?![/\\\s])|/$", location), location
    assert urlsplit(location).netloc == ""
    assert "evil.example" not in urlsplit(location).path.split("/")[1:2]


@pytest.mark.parametrize("path", ["/instances", "/app/signin", "/api/schema", "/api/docs", "/readyz", "/nothing"])
@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Forwarded-Server", "Forwarded", "X-Host", "X-Original-Host"])
def test_no_answer_names_a_host_that_a_header_claims(path: str, header: str) -> None:
    value = "host=evil.example" if header == "Forwarded" else "evil.example"
    answer = Client().get(path, headers={header: value})
    assert "evil.example" not in answer.content.decode()
    assert "evil.example" not in str(answer.headers)


def test_a_claim_of_https_is_believed_only_behind_a_proxy_that_ends_it(settings: Settings) -> None:
    assert not ours.SECURE_PROXY_SSL_HEADER
    request = Client().get("/app/signin", headers={"X-Forwarded-Proto": "https"}).wsgi_request
    assert not request.is_secure()
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    for value in ("http", "HTTPS", "on", ""):
        assert not Client().get("/app/signin", headers={"X-Forwarded-Proto": value}).wsgi_request.is_secure(), value


# -- sizes -------------------------------------------------------------------------------------------------------------

BODIES = {
    "10,000 levels": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "51 levels of lists": b"[" * 51 + b"]" * 51,
    "open brackets": b"[" * 1_000_000,
    "over 2 MB": b'{"a":"' + b"x" * (2 * 1024 * 1024) + b'"}',
    "an integer of 5,000 digits": b'{"a":' + b"9" * 5000 + b"}",
    "1e400 in a number": b'{"name":1e400}',
    "NaN": b'{"name":NaN}',
    "NUL": b'{"name":"a\\u0000"}',
    "half a surrogate": b'{"name":"\\ud800"}',
    "no UTF-8": b'{"name":"\xff"}',
    "UTF-16": '{"name":"a"}'.encode("utf-16"),
    "no object": b'"text"',
    "a list": b"[]",
    "nothing": b"",
}


@pytest.mark.parametrize("body", BODIES)
def test_a_body_out_of_bounds_is_refused_in_words(tenant: Tenant, body: str) -> None:
    headers = {"Authorization": tenant.auth}
    answer = Client().post("/instances", BODIES[body], content_type="application/json", headers=headers)
    assert answer.status_code in (400, 413), answer.content
    assert set(answer.json()) == {"requestId", "message"}
    assert len(answer.content) < 2000


def test_a_session_cookie_is_not_for_scripts_nor_for_other_sites(olga: User) -> None:
    client = Client()
    sign_in(client)
    cookie = client.cookies[ours.SESSION_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert client.session.get_expiry_date() > timezone.now()
