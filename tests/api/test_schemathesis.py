"""Every described operation asked everything that its description allows, and much that it does not.

Each request runs in a transaction of its own that is rolled back, so that all of them meet the same world: two watched
instances on a sandbox, with events, and the same of another organization.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.core.cache import cache
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from hypothesis import HealthCheck, Phase
from pytest_django import Settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test

from cwconnect.sandbox import SandboxServer
from cwconnect.site.openapi.compatible import COMPATIBLE
from cwconnect.site.openapi.modern import MODERN
from instances.models import ApiUser
from instances.secrets import Secret
from polling.models import Replay, Verification
from tests.api.conftest import NOON, Watched
from tests.conftest import Tenant
from tests.support.required import LENGTHY
from tests.support.rows import complete_copy, further_subscription
from tests.support.sandboxes import start_sandbox

load_all_checks()
POSITIVE, NEGATIVE = (CHECKS.get_one(name) for name in ("positive_data_acceptance", "negative_data_rejection"))
KNOWN, UNKNOWN = 1, 999_999_999
IDS = {"id", "instance", "poll", "event", "eventId", "delivery", "secret", "replay", "verification", "copy"}
IDS |= {"subscription"}
OWN = re.compile(r"/instances/(configuration|enabled|events)|^/hubs/|^/(ping|objects)")
# Fields whose grammar no schema can express: what follows it may be refused all the same.
GRAMMARS = {
    "from": r"/events(/analytics)?$",  # any ISO 8601, and not after `to`; at most 1,500 buckets
    "nextPage": r"^(/elements/\{element\})?/instances$|/events$|^/hubs/|^/notifications/",  # our own tokens only
    "cursor": r"^/v1/deliveries$|/held-deletes$|/verifications$|/held$",  # the same
    "where": r"^/hubs/|^/notifications/",  # CEQL
    "q": r"/bulk/query$",  # the same
    "resource": r"^/hubs/|^/objects/|/test(-notification)?$|/polls$",  # a name that ConnectWise, or the instance, knows
    "configuration": r"^(/elements/\{element\})?/instances|/polls(/\{poll\})?$",  # URLs, patterns, credentials
    "name": r"^/v1/secrets$",  # nothing that nobody sees, beside what Persian, Japanese and emoji need
    "filter": r"^/v1/events$|/try-filter$",  # JSON, with members of its own
    "url": r"/subscriptions(/\{subscription\})?$",  # that may be asked; and what else stands beside it there
    "key": r"/rotate$",  # the same, without those
    "since": r"/backfill$",  # not in the future
    "networks": r"^/v1/secrets$|/token$",  # in CIDR form, without host bits
    "instances": r"^/v1/secrets$",  # of the organization
    "expires_at": r"^/v1/secrets$|/token$",  # to come
    "until": r"/rotate$",  # within 30 days
}


def is_taken_all_the_same(body: Any) -> bool:
    """Whether a body may be accepted though it is not as described: null stands for a field that is left out."""
    return isinstance(body, dict) and (None in body.values() or body.get("element") == {"key": None})


def has_a_grammar(path: str) -> bool:
    """Whether an operation takes a field of the table above."""
    return any(re.search(pattern, path) for pattern in GRAMMARS.values())


class FuzzedService:
    """What the requests meet."""

    def __init__(self, tenant: Tenant, sandbox: SandboxServer) -> None:
        self.tenant, self.sandbox = tenant, sandbox
        keys = {"public_key": Secret.of("PUB"), "private_key": Secret.of("PRIV")}
        self.watched = Watched(tenant, base_url=sandbox.url, writes_enabled=True, **keys)
        ApiUser.objects.update(writes_to_connectwise=True)
        self.event = self.watched.changed(1, 2, 3)[0].pk
        self.replay = Replay.objects.create(instance=self.watched.instance, asked_at=NOON, what="all").pk
        self.copy = complete_copy(self.watched.instance).pk
        self.subscription = further_subscription(self.watched.instance).pk
        self.verification = Verification.objects.create(resource_poll=self.watched.poll, asked_at=NOON).pk

    def put_ids(self, case: Any) -> None:
        """Have the ids of the path that stand for what exists name what exists."""
        for name, value in case.path_parameters.items():
            if value == KNOWN and name in IDS:
                case.path_parameters[name] = self._ids[name]

    @property
    def _ids(self) -> dict[str, int]:
        watched = self.watched
        ids = dict.fromkeys(("event", "eventId", "delivery"), self.event)
        ids |= {"id": watched.instance.pk, "instance": watched.instance.pk, "poll": watched.poll.pk}
        return ids | {
            "copy": self.copy,
            "secret": watched.tenant.user.pk,
            "replay": self.replay,
            "verification": self.verification,
            "subscription": self.subscription,
        }

    def auth(self, path: str) -> str:
        """The header that an operation takes."""
        return self.watched.auth if OWN.search(path) else self.tenant.auth


def described() -> Any:
    """Load the description, with one id that stands for what exists beside one that does not."""
    out = io.StringIO()
    call_command("spectacular", "--format", "openapi-json", stdout=out)
    raw = json.loads(out.getvalue())
    for item in raw["paths"].values():
        for parameter in (each for operation in item.values() for each in operation.get("parameters", ())):
            if parameter["in"] == "path" and parameter["name"] in IDS:
                parameter["schema"] = {**parameter["schema"], "enum": [KNOWN, UNKNOWN]}
    raw.pop("servers")
    schema = schemathesis.openapi.from_dict(raw)
    schema.app = get_wsgi_application()  # ours looks at the database first, where no test has begun yet
    return schema


schema = described()
OPERATIONS = [result.ok() for result in schema.get_all_operations()]


@contextmanager
def undone() -> Iterator[None]:
    """Undo what the block writes."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with start_sandbox() as server:
        yield server


@pytest.fixture
def world(tenant: Tenant, running: SandboxServer, settings: Settings) -> FuzzedService:
    settings.CONNECTWISE_CLIENT_ID = "a-client-id"
    return FuzzedService(tenant, running)


BOUNDED = hypothesis.settings(
    max_examples=3 if LENGTHY else 2,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def in_one_world(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Have a check leave nothing behind."""

    def checked(case: Any) -> None:
        cache.clear()  # the failures of authentication that a check provokes would brake the next
        with undone():
            check(case)

    return checked


every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)


@pytest.mark.django_db
@every_operation
def test_with_valid_credentials_nothing_is_found(operation: Any, world: FuzzedService) -> None:
    excluded = [POSITIVE] if has_a_grammar(operation.path) else []

    def check(case: Any) -> None:
        world.put_ids(case)
        left_out = [NEGATIVE] if is_taken_all_the_same(case.body) else []
        headers = {"Authorization": world.auth(operation.path)}
        case.call_and_validate(headers=headers, excluded_checks=[*excluded, *left_out])

    # What schemathesis' own `parametrize` does; that gives all tests the same name under this pytest.
    build_operation_test(
        config=schema.config,
        operation=operation,
        test_func=in_one_world(check),
        given_kwargs={},
        feedback=FeedbackSources(),
        explicit_settings=BOUNDED,
    )()


@pytest.mark.django_db
@every_operation
def test_with_another_organizations_credentials_nothing_is_read(
    operation: Any, world: FuzzedService, other_tenant: Tenant
) -> None:
    def check(case: Any) -> None:
        world.put_ids(case)
        response = case.call(headers={"Authorization": other_tenant.auth})
        assert response.status_code < 500
        for text in (world.tenant.organization.name, world.watched.token, world.sandbox.url):
            assert text not in response.text

    BOUNDED(hypothesis.given(case=operation.as_strategy())(in_one_world(check)))()


def test_the_named_exceptions_are_of_operations_that_exist() -> None:
    paths = {route.partition(" ")[2] for route in (*COMPATIBLE, *MODERN)}
    for pattern in GRAMMARS.values():
        assert any(re.search(pattern, path) for path in paths), pattern
