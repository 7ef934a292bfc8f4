"""Who can write to Redis has no code run and hinders no request: what is not ours there counts as missing."""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.signing import BadSignature, SignedPackage
from django_q.status import Stat
from pytest_django import Settings

from cwconnect.core.plain_cache import PlainMemoryCache, PlainRedisCache, PlainSerializer
from cwconnect.site.demo import free_port
from instances.models import Membership, Role
from polling.workers import queue
from polling.workers.wakeups import Kind
from tests.conftest import Tenant
from tests.support.required import SERVICES_REQUIRED
from tests.support.services import wait_until

redis = pytest.importorskip("redis", reason="the extra redis is not installed")


class Planted:
    """A pickle that makes a folder when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.mark),)


def planted(mark: Path) -> dict[str, bytes]:
    """Return what an attacker writes: pickles of each protocol, and what could break a reader."""
    pickles = {f"protocol {number}": pickle.dumps(Planted(mark), number) for number in range(6)}
    others = [
        b"",
        b":",
        b":\xff",
        b":1",
        b"-",
        b"--1",
        b"9" * 5000,
        b"-5",
        b"1.5",
        b"\x80",
        b"None",
        b":a,b",
        b":1,2,3,4",
    ]
    return pickles | {repr(one)[:20]: one for one in [*others, b":" + pickles["protocol 0"]]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of its own; its URL."""
    program = shutil.which("redis-server")
    if program is None:
        assert not SERVICES_REQUIRED, "redis-server is not on this machine"
        pytest.skip("redis-server is not on this machine")
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    try:
        with redis.Redis.from_url(url) as client:
            wait_until(lambda: _answers(client), 30, "Redis")
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.fixture
def store(server: str, settings: Settings) -> Iterator[Any]:
    """Django's cache in that Redis, as the settings would have it; a client that writes past it."""
    settings.CACHES = {"default": {"BACKEND": "cwconnect.core.plain_cache.PlainRedisCache", "LOCATION": [server]}}
    with redis.Redis.from_url(server) as client:
        client.flushall()
        yield client
    cache.close()
    settings.CACHES = {"default": {"BACKEND": "cwconnect.core.plain_cache.PlainMemoryCache"}}


def answers(client: Client, tenant: Tenant) -> list[int]:
    """Ask whatever uses the cache: wrong and right secrets, the overview, metrics."""
    wrong = client.get("/instances", headers={"Authorization": "User a, Organization b"})
    right = client.get("/instances", headers={"Authorization": tenant.auth})
    return [answer.status_code for answer in (wrong, right, client.get(reverse("overview")), client.get("/metrics"))]


@pytest.fixture
def person(tenant: Tenant, django_user_model: Any) -> Client:
    account = django_user_model.objects.create_user("olga", password="a long enough password")
    Membership.objects.create(account=account, organization=tenant.organization, role=Role.OPERATOR)
    client = Client(raise_request_exception=False)
    client.force_login(account)
    return client


@pytest.mark.django_db
def test_nothing_planted_under_a_key_of_the_cache_is_executed(
    store: Any, person: Client, tenant: Tenant, tmp_path: Path
) -> None:
    usual = answers(person, tenant)
    keys = [bytes(key) for key in store.scan_iter()]
    assert usual == [401, 200, 200, 200]
    assert {key.split(b":")[2].split(b"-")[0] for key in keys} == {b"failures", b"events"}
    for what, payload in planted(tmp_path / "executed").items():
        for key in keys:
            store.set(key, payload)
        wrong, right, *pages = answers(person, tenant)
        # A number counts, whoever wrote it; the minute that it counts for may end between the two.
        assert (wrong in (401, 429), right in (200, 429), pages) == (True, True, [200, 200]), what
        assert not (tmp_path / "executed").exists(), what


@pytest.mark.django_db
def test_a_key_of_another_kind_is_as_good_as_missing(store: Any, person: Client, tenant: Tenant) -> None:
    usual = answers(person, tenant)
    for key in list(store.scan_iter()):
        store.delete(key)
        store.rpush(key, "a")
    assert answers(person, tenant) == usual


@pytest.mark.django_db
def test_a_redis_that_hangs_costs_a_request_few_seconds(settings: Settings, person: Client, tenant: Tenant) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        location = [f"redis://127.0.0.1:{hanging.getsockname()[1]}/0"]
        backend = {"BACKEND": "cwconnect.core.plain_cache.PlainRedisCache", "LOCATION": location}
        settings.CACHES = {"default": backend | {"OPTIONS": {"socket_connect_timeout": 0.2, "socket_timeout": 0.2}}}
        client = cache._cache  # type: ignore[attr-defined]  # Django's handle of it
        with patch.object(client, "get_client", wraps=client.get_client) as asked:
            assert answers(person, tenant) == [401, 200, 200, 200]
    cache.close()
    settings.CACHES = {"default": {"BACKEND": "cwconnect.core.plain_cache.PlainMemoryCache"}}
    assert asked.call_count <= 2 * 4, "each waits as long as the settings let it"


def test_the_cache_keeps_numbers_and_text_and_nothing_else(store: Any) -> None:
    for value in (0, 7, -7, 2**62, "", "7", "a:b", "ä\0\U0001f511", ":"):
        cache.set("a", value)
        assert (cache.get("a"), cache.get_many(["a", "b"])) == (value, {"a": value})
    assert (cache.add("n", 1), cache.add("n", 1), cache.incr("n")) == (True, False, 2)
    for other in (True, 1.5, b"a", None, [], (), {}, object()):
        for kept in (cache, PlainMemoryCache("of a test", {})):
            with pytest.raises(TypeError):
                kept.set("a", other)
            with pytest.raises(TypeError):
                kept.add("b", other)


def test_no_option_brings_pickles_back() -> None:
    opened = PlainRedisCache(["redis://127.0.0.1:9/0"], {"OPTIONS": {"serializer": pickle}})
    assert isinstance(vars(opened._cache)["_serializer"], PlainSerializer)


def test_the_settings_cache_with_redis_is_the_plain_one(tmp_path: Path) -> None:
    from tests.site.test_every_setting import settings_of

    caches = settings_of(tmp_path, CWCONNECT_REDIS_URL="redis://127.0.0.1:9/0")["CACHES"]
    nowhere = "django.core.cache.backends.dummy.DummyCache"  # keeps nothing, so nothing is read from it
    assert [cache["BACKEND"] for cache in caches.values()] == ["cwconnect.core.plain_cache.PlainRedisCache", nowhere]
    assert [cache["BACKEND"] for cache in settings_of(tmp_path)["CACHES"].values()] == [
        "cwconnect.core.plain_cache.PlainMemoryCache",
        nowhere,
    ]


@pytest.fixture
def broker(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """django-q2's broker in that Redis; a client that writes past it."""
    from django_q.brokers import redis_broker
    from django_q.conf import Conf

    monkeypatch.setattr(Conf, "REDIS", server)
    monkeypatch.setattr(Conf, "ORM", None)
    monkeypatch.setattr("django_q.brokers.get_broker", lambda list_key=None: redis_broker.Redis(list_key))
    monkeypatch.setattr("django_q.tasks.get_broker", lambda list_key=None: redis_broker.Redis(list_key))
    monkeypatch.setattr(queue, "get_broker", redis_broker.Redis)
    with redis.Redis.from_url(server) as client:
        client.flushall()
        yield client


def test_what_stands_in_the_queue_is_opened_by_our_signature_alone(broker: Any, tmp_path: Path) -> None:
    queue.queue(Kind.POLL)
    (key,) = broker.scan_iter()
    (task,) = broker.lrange(key, 0, -1)
    assert SignedPackage.loads(task)["func"] == "polling.tasks.poll"
    signature = task.rpartition(b":")[2]
    for payload in planted(tmp_path / "executed").values():
        for forged in (payload, _encoded(payload), _encoded(payload) + b":" + signature, payload + b":1:" + signature):
            with pytest.raises((BadSignature, UnicodeDecodeError)):
                SignedPackage.loads(forged)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("message", ["a pickle", "a function", "another task", "a hook"])
def test_who_has_the_key_too_wakes_workers_and_runs_nothing_else(message: str, tmp_path: Path) -> None:
    ours = {"id": "1", "name": "a", "func": "polling.tasks.tick", "args": (), "kwargs": {}, "started": timezone.now()}
    assert SignedPackage.loads(SignedPackage.dumps(ours)) == ours
    forged: dict[str, Any] = {
        "a pickle": Planted(tmp_path / "executed"),
        "a function": ours | {"func": os.mkdir, "args": (str(tmp_path / "executed"),)},
        "another task": ours | {"func": "os.mkdir", "args": (str(tmp_path / "executed"),)},
        "a hook": ours | {"hook": "os.mkdir"},
    }
    with pytest.raises(BadSignature):
        SignedPackage.loads(SignedPackage.dumps(forged[message]))
    assert not (tmp_path / "executed").exists()


def test_what_stands_for_a_cluster_is_not_opened(broker: Any, tmp_path: Path) -> None:
    from django_q.brokers.redis_broker import Redis

    signed = SignedPackage.dumps(Planted(tmp_path / "executed")).encode()
    for payload in (signed, *(_encoded(one) + b":1:forged" for one in planted(tmp_path / "executed").values())):
        broker.set(Stat.get_key("one"), payload)
        assert Stat.get_all(Redis()) == []
    assert not (tmp_path / "executed").exists()


def _encoded(payload: bytes) -> bytes:
    """Return a payload as signed packages hold it, without its signature."""
    from django.core.signing import b64_encode

    return b64_encode(payload)


@pytest.mark.django_db
def test_a_queue_of_another_kind_hinders_no_request(broker: Any, person: Client, tenant: Tenant) -> None:
    queue.queue(Kind.POLL)
    (key,) = broker.scan_iter()
    broker.set(key, "a")
    assert answers(person, tenant) == [401, 200, 200, 200]
