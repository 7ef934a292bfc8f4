"""API keys and Element tokens that are about to expire, as alerts: two weeks before, once.

A periodic job looks at what there is. An episode ends when the key is revoked or replaced, when the token is replaced,
and when either has expired: then whatever uses it gets 401, and warns by itself.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from cwconnect.core.time import utc_text
from instances.credentials.limits import SOON
from instances.models import ApiUser, Instance
from polling.alerts import delivery_alerts
from polling.models import Alert

_KEY, _TOKEN = Alert.Kind.KEY_EXPIRES, Alert.Kind.TOKEN_EXPIRES


def raise_expiry_alerts(now: datetime) -> int:
    """Raise an alert for each key and token that newly expires soon, and end those that are over; give how many."""
    return _look_at_keys(now) + _look_at_tokens(now)


def _look_at_keys(now: datetime) -> int:
    ending = ApiUser.objects.filter(secret_hash__isnull=False, expires_at__gt=now, expires_at__lte=now + SOON)
    known = _open(_KEY)
    new = list(ending.exclude(pk__in=known.values("key_number")).select_related("organization").order_by("pk"))
    for user in new:
        delivery_alerts.warn_of_key(user, _of_key(user), now)
    delivery_alerts.resolve(known.exclude(key_number__in=ending.values("pk")), now)
    return len(new)


def _look_at_tokens(now: datetime) -> int:
    ours = Instance.objects.filter(organization__isnull=False)
    ending = ours.filter(token_expires_at__gt=now, token_expires_at__lte=now + SOON)
    known = _open(_TOKEN)
    new = list(ending.exclude(pk__in=known.values("instance")).order_by("pk"))
    for instance in new:
        delivery_alerts.warn(_TOKEN, instance, _of_token(instance), now)
    delivery_alerts.resolve(known.exclude(instance__in=ending.values("pk")), now)
    return len(new)


def _open(kind: Alert.Kind) -> QuerySet[Alert]:
    return Alert.objects.filter(kind=kind, resolved_at=None)


def _of_key(user: ApiUser) -> str:
    ends = utc_text(user.expires_at) if user.expires_at else ""
    return (
        f"The API key {user} expires {ends}: what calls the API with it gets 401 from then on. Make another one first."
    )


def _of_token(instance: Instance) -> str:
    ends = utc_text(instance.token_expires_at) if instance.token_expires_at else ""
    return f"The Element token of {instance} expires {ends}: calls with it get 401 from then on. Make a new one first."
