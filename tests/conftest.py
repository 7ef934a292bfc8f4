"""What all tests share: an organization with an API user, and the header that speaks for both."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.core.cache import cache
from hypothesis import HealthCheck, settings

from instances.connections import outbound_client
from instances.credentials.issuing import issue_secrets
from instances.models import ApiUser, Organization

pytest_plugins = (
    "tests.support.api_caller",
    "tests.support.polled_instance",
    "tests.support.victim",
    "tests.support.callbacks",
    "tests.support.callback_registry",
)  # fixtures

# How long an example takes measures the machine: pytest-timeout ends what hangs.
settings.register_profile("whatever the machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("whatever the machine")
_THRESHOLD = gc.get_threshold()[0]  # Python's own


def pytest_configure(config: pytest.Config) -> None:
    """Keep bytecode among pytest's own files where the environment has Python keep none.

    Images of containers often say so (PYTHONDONTWRITEBYTECODE), and every process that a test starts would compile all
    of ours anew: 0.8 s of the 2 s that a command takes. The process that only hands out tests needs none.
    """
    runs_tests = hasattr(config, "workerinput") or not config.getoption("numprocesses")
    cache: pytest.Cache | None = getattr(config, "cache", None)  # without the plugin of that name there is none
    if sys.dont_write_bytecode and runs_tests and cache:
        folder = str(cache.mkdir("bytecode"))
        sys.pycache_prefix, sys.dont_write_bytecode = folder, False
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    gc.set_threshold(50_000)  # what is collected stays: see below


def pytest_xdist_auto_num_workers() -> int:
    """Return how many tests run at a time: a quarter of them wait for real processes more than they work.

    Four at most, for each worker takes half a gigabyte, and a container may have fewer processors than it is shown.
    """
    processors = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(processors + 1, 4)


def pytest_collection_finish() -> None:
    """Search for garbage as usual from here on, and not among modules and tests, half a million objects that stay."""
    gc.freeze()
    gc.set_threshold(_THRESHOLD)


@dataclass(frozen=True)
class Tenant:
    """An organization, its API user and their secrets."""

    organization: Organization
    user: ApiUser
    user_secret: str
    organization_secret: str

    @property
    def auth(self) -> str:
        """The Authorization header of the platform's routes."""
        return f"User {self.user_secret}, Organization {self.organization_secret}"


def make_tenant(name: str) -> Tenant:
    """Make an organization of that name with one API user."""
    issued = issue_secrets(organization_name=name, user_name="alice")
    assert issued.user
    assert issued.organization
    organization = Organization.objects.get(name=name)
    return Tenant(organization, organization.api_users.get(), issued.user, issued.organization)


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant("Alpha")


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    return make_tenant("Beta")


@pytest.fixture
def organization(tenant: Tenant) -> Organization:
    return tenant.organization


@pytest.fixture
def api_user(tenant: Tenant) -> ApiUser:
    return tenant.user


@pytest.fixture
def auth(tenant: Tenant) -> dict[str, str]:
    """Headers for Django's test client."""
    return {"Authorization": tenant.auth}


@pytest.fixture(autouse=True)
def _forget_failures() -> None:
    """Have no test's failures of authentication brake another's."""
    cache.clear()


@pytest.fixture(autouse=True)
def _close_connections() -> Iterator[None]:
    """Leave no connection open behind a test."""
    yield
    outbound_client().close()
