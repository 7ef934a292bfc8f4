"""What tries at a receiver came to, by hour: counted once each, however they settle."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from instances.models import Instance, Organization, Role
from polling.delivery.breaker import url_hash
from polling.delivery.first_subscriptions import first_subscription
from polling.models import DeliveryAttempt, DeliveryState, Notification, Receiver, ReceiverHour
from polling.reports import receiver_hours as module
from polling.reports.receiver_hours import Tries, advance, bucket_of, in_all, receiver_hours
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of, words_of
from tests.support.notifications import make_instance, make_notifications
from tests.support.rows import further_subscription

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)
URL = "http://127.0.0.1:9/hook?code=hush"


@pytest.fixture
def instance(organization: Organization) -> Instance:
    return make_instance(organization, URL)


@pytest.fixture
def receiver(instance: Instance, organization: Organization) -> Receiver:
    made = Receiver.objects.create(organization=organization, url=URL, url_hash=url_hash(URL))
    DeliveryState.objects.create(subscription=first_subscription(instance), receiver=made)
    return made


def tried(
    instance: Instance,
    at: datetime,
    status: int | None = 204,
    *,
    ended: bool = True,
    seconds: float = 0.1,
    url: str = URL,
    gave_up: bool = False,
) -> DeliveryAttempt:
    """Make a try at a time; one that has not ended is under way."""
    notification = Notification.objects.filter(instance=instance).first() or make_notifications(instance, [[1]], at)[0]
    failed = ended and (status is None or status >= 300)
    return DeliveryAttempt.objects.create(
        notification=notification,
        url=url,
        started_at=at,
        finished_at=at if ended else None,
        seconds=seconds if ended else None,
        status=status if ended else None,
        error_kind="status" if failed else "",
        gave_up=gave_up,
    )


def outcomes(receiver: Receiver, now: datetime) -> dict[int, list[int]]:
    """Return the hours with tries, by their place counted from the hour under way."""
    hours = receiver_hours(receiver, now)
    assert hours is not None
    ours = now.replace(minute=0)
    return {
        int((ours - each.start) / timedelta(hours=1)): each.tries.outcomes for each in hours if any(each.tries.outcomes)
    }


def test_tries_are_counted_by_hour_and_outcome(instance: Instance, receiver: Receiver, other_tenant: Tenant) -> None:
    assert receiver_hours(receiver, NOON) is None
    hour = timedelta(hours=1)
    for back, status, last in ((0, 204, False), (1, 500, False), (1, 500, True), (2, None, False), (30, 204, False)):
        tried(instance, NOON - back * hour, status, gave_up=last)
    tried(instance, NOON, url="http://127.0.0.1:9/another")
    tried(make_instance(other_tenant.organization, URL), NOON)
    expected = {0: [1, 0, 0], 1: [0, 1, 1], 2: [0, 1, 0]}
    for _ in range(3):  # once, whatever was settled by then
        advance(NOON)
        assert outcomes(receiver, NOON) == expected
    advance(NOON + hour)
    assert outcomes(receiver, NOON + hour) == {place + 1: counts for place, counts in expected.items()}
    assert ReceiverHour.objects.count() == 3  # what is older than a day was left out
    advance(NOON + 27 * hour)
    assert not ReceiverHour.objects.exists()


def test_what_ends_late_or_never_is_counted_in_its_hour(instance: Instance, receiver: Receiver) -> None:
    began = NOON - timedelta(hours=1)
    late, never = tried(instance, began, ended=False), tried(instance, began, ended=False)
    tried(instance, began)
    advance(began + timedelta(minutes=5))
    assert outcomes(receiver, NOON - timedelta(hours=1, minutes=-5)) == {0: [1, 0, 0]}
    DeliveryAttempt.objects.filter(pk=late.pk).update(finished_at=NOON, seconds=300.0, error_kind="timeout")
    assert outcomes(receiver, began + timedelta(minutes=6)) == {0: [1, 1, 0]}  # before the job knows of it
    for _ in range(2):
        advance(NOON)
        assert outcomes(receiver, NOON) == {1: [1, 2, 0]}
    assert never.seconds is None
    whole = in_all(receiver_hours(receiver, NOON) or [])
    assert whole.took.total() == 2  # of the one without an end nobody knows how long it took


def test_random_tries_are_counted_exactly(
    instance: Instance, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEP", 3)
    chance, now = random.Random(7), NOON - timedelta(hours=5)
    expected: Counter[str] = Counter()
    while now < NOON:
        now += timedelta(minutes=chance.randint(1, 20))
        status, last = chance.choice([(204, False), (500, False), (500, True)])
        tried(instance, now, status, gave_up=last, seconds=chance.uniform(0.001, 20))
        expected["given up" if last else "failed" if status == 500 else "delivered"] += 1
        if chance.random() < 0.3:
            advance(now)
    found = in_all(receiver_hours(receiver, now) or [])
    assert dict(zip(module.OUTCOMES, found.outcomes, strict=True)) == expected
    assert found.took.total() == expected.total()


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_percentiles_are_right_to_within_a_tenth(share: float) -> None:
    chance = random.Random(3)
    for count in (1, 2, 19, 1000):
        times = sorted(chance.lognormvariate(-3, 1.5) + 0.001 for _ in range(count))
        exact = times[-(-int(share * 1000) * count // 1000) - 1]
        known = Tries(took=Counter(map(bucket_of, times))).seconds(share)
        assert known == pytest.approx(exact, rel=0.1)
    assert Tries().seconds(share) is None
    assert Tries(took=Counter([bucket_of(0.0)])).seconds(share) == pytest.approx(0.001, rel=0.1)


def test_a_receivers_page_shows_its_day(
    instance: Instance,
    receiver: Receiver,
    organization: Organization,
    other_tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer = sign_in("victor", organization, role=Role.VIEWER)
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOON)
    path, delivery = f"/app/receivers/{receiver.pk}", f"/app/instances/{instance.pk}/delivery"
    assert "nothing is counted yet" in text_of(viewer.get(path))
    advance(NOON)
    assert "Nothing was sent to this receiver" in text_of(viewer.get(path))
    for status, last in ((204, False), (500, False), (500, True)):
        tried(instance, NOON, status, gave_up=last, seconds=0.2)
    for page in (text_of(viewer.get(path)), text_of(viewer.get(delivery))):
        assert "Of 3 tries, failed ones too; times to within a tenth" in page
        assert page.count('<svg class="chart"') == 2
        for words in ("delivered 1", "failed 1", "given up 1", "<title>12:00: 3 tries</title>", "ms</title>"):
            assert words in page
        assert [page.count(f'<rect class="{kind}"') for kind in ("delivered", "failed", "given-up", "p50")] == [1] * 4
        assert "hush" not in page
    assert f'<a href="{delivery}">{instance.name}</a>' in text_of(viewer.get(path))
    stranger = sign_in("stranger", other_tenant.organization)
    assert stranger.get(path).status_code == 404


def test_of_several_receivers_each_has_its_day_on_its_card(
    instance: Instance, receiver: Receiver, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOON)
    advance(NOON)
    further_subscription(instance)
    for status in (204, 204, 500):
        tried(instance, NOON, status, seconds=0.2)
    html = text_of(sign_in("olga", organization).get(f"/app/instances/{instance.pk}/delivery"))
    assert "half of the tries took 217 ms at most, 95 % 217 ms ■delivered 2 ■failed 1 ■given up 0" in words_of(html)
    assert html.count('<svg class="chart"') == html.count("by hour; the receiver’s page has each hour") == 1
    assert html.count("<title>12:00: 3 tries</title>") == 1
