"""Keys and tokens that are about to expire: one alert each, two weeks before, and a line on the overview."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from cwconnect.site.periodic_jobs import PERIODIC_JOBS
from instances.credentials.limits import Limits
from instances.credentials.tokens import replace_token
from instances.credentials.user_secrets import create_user, revoke_user
from instances.models import ApiUser, Instance
from instances.provisioning import delete_instance
from polling.alerts.expiry_alerts import raise_expiry_alerts
from polling.alerts.messages import body_of, warned_of
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import pause_delivery, release_all_of
from polling.models import Alert
from polling.reports.overview import overview_of
from tests.api.conftest import Watched
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of

pytestmark = pytest.mark.django_db
Kind = Alert.Kind
NOW = timezone.now()


@pytest.fixture
def watched(tenant: Tenant) -> Watched:
    return Watched(tenant)


def look() -> list[tuple[str, bool]]:
    """Do the periodic job; give all alerts as kind and whether it is open."""
    raise_expiry_alerts(NOW)
    return [(alert.kind, alert.resolved_at is None) for alert in Alert.objects.order_by("pk")]


def ends(days: float) -> None:
    """Have each key and each token end in so many days."""
    ApiUser.objects.update(expires_at=NOW + timedelta(days=days))
    Instance.objects.update(token_expires_at=NOW + timedelta(days=days))


def test_two_weeks_before_there_is_one_warning_each(watched: Watched) -> None:
    ends(14.1)
    assert look() == []
    ends(14)
    assert look() == look() == [(Kind.KEY_EXPIRES, True), (Kind.TOKEN_EXPIRES, True)]
    texts = [alert.text for alert in Alert.objects.order_by("pk")]
    assert [text.partition(" expires ")[0] for text in texts] == [
        f"The API key {watched.tenant.user}",
        f"The Element token of {watched.instance}",
    ]
    assert body_of([warned_of(alert) for alert in Alert.objects.all()]).count("release") == 0


def test_two_keys_have_a_warning_each(tenant: Tenant) -> None:
    create_user(tenant.organization, "bob", Limits())
    ends(3)
    assert look() == [(Kind.KEY_EXPIRES, True)] * 2
    assert set(Alert.objects.values_list("key_number", flat=True)) == set(ApiUser.objects.values_list("pk", flat=True))


@pytest.mark.parametrize("days", [-0.1, 15])
def test_expired_or_put_off_it_is_over_and_a_new_end_is_a_new_episode(watched: Watched, days: float) -> None:
    ends(3)
    look()
    ends(days)
    over = [(Kind.KEY_EXPIRES, False), (Kind.TOKEN_EXPIRES, False)]
    assert look() == over
    ends(3)
    assert look() == [*over, (Kind.KEY_EXPIRES, True), (Kind.TOKEN_EXPIRES, True)]


def test_revoked_and_replaced_it_is_over(watched: Watched) -> None:
    ends(3)
    look()
    revoke_user(watched.tenant.user, even_last=True)
    replace_token(watched.instance, NOW)
    assert look() == [(Kind.KEY_EXPIRES, False), (Kind.TOKEN_EXPIRES, False)]


def test_of_a_deleted_instance_nobody_hears(watched: Watched) -> None:
    Instance.objects.update(token_expires_at=NOW + timedelta(days=1))
    delete_instance(watched.instance)
    assert look() == []


def test_a_release_of_deliveries_does_not_end_it(watched: Watched) -> None:
    ends(3)
    look()
    pause_delivery(first_subscription(watched.instance), "a reason", NOW)
    release_all_of(watched.instance, NOW)
    assert (Kind.TOKEN_EXPIRES, True) in look()


def test_the_job_is_one_of_the_periodic_ones() -> None:
    assert raise_expiry_alerts in [job.run for job in PERIODIC_JOBS]


def test_the_overview_has_a_line_for_each_of_ones_own(watched: Watched, other_tenant: Tenant) -> None:
    Watched(other_tenant)
    create_user(other_tenant.organization, "of others", Limits())
    organization = watched.tenant.organization
    for days, count in ((15, 0), (-1, 0), (9, 2)):
        ends(days)
        assert len(overview_of(organization, NOW).expiring) == count
    for role in ("operator", "viewer"):
        page = text_of(sign_in(f"a {role}", organization, role=role).get("/"))
        for words in ("expires soon", "alice", "The token of", watched.instance.name):
            assert words in page
        assert "of others" not in page
        assert ("New token" in page) is (role == "operator")


def test_the_page_of_alerts_shows_them_by_name(watched: Watched) -> None:
    ends(3)
    look()
    client: Client = sign_in("olga", watched.tenant.organization)
    page = text_of(client.get("/app/alerts"))
    assert "An API key expires soon" in page
    assert "An Element token expires soon" in page
