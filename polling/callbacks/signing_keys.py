"""ConnectWise's signing keys: kept in the memory of a process, fetched from the instance's own site.

Never a row or a cache that others read: whoever had one could sign. A key is kept by its whole URL, and asked for anew
when a signature does not fit, at most once a minute. One fetch of an instance is under way at a time, for all
processes: it takes the lease of the instance's endpoint.

Source: ConnectWise's developer guide, "Verifying Callbacks".
"""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

from django.db.models import QuerySet
from django.utils import timezone

from cwconnect.connectwise.callbacks.signatures import (
    KEY_SECONDS,
    LARGEST_KEY_ANSWER,
    KeyRefusedError,
    read_signing_key,
)
from cwconnect.core.bulk_sql import update_returning
from cwconnect.outbound import Limits, OutboundClient, OutboundError, Reply
from instances.connections import credentials_of, outbound_client
from instances.models import Instance
from instances.secrets import SecretUnreadableError
from polling.detection.jobs import LEASE, Work
from polling.models import CallbackEndpoint, CallbackHint
from polling.workers.leases import claim, end_lease

log = logging.getLogger(__name__)

MOST_KEYS = 1000
OLD_AFTER = 60.0  # seconds: a key that does not fit is asked for anew when it is older
AGAIN_AFTER = timedelta(minutes=1)  # when a key could not be had
_LIMITS = Limits(connect=5, read=KEY_SECONDS, total=KEY_SECONDS, body=LARGEST_KEY_ANSWER)
_REFUSED = (401, 403)


@dataclass
class _Keys:
    """Keys by their URLs, the newest last; each with when it was fetched (monotonic seconds)."""

    process: int = 0
    found: OrderedDict[str, tuple[str, float]] = field(default_factory=OrderedDict)


_keys = _Keys()


def look_again(hints: QuerySet[CallbackHint], at: datetime) -> None:
    """Have those of these that wait be judged `at` then, but for those that somebody is writing just now.

    To wait for those, whose order is another, might be to wait for one another.
    """
    update_returning(hints.filter(status=CallbackHint.Status.WAITING), {"judge_at": at})


def known_key(key_url: str) -> tuple[str, bool] | None:
    """Return the key that is kept for this URL and whether it is old enough to be asked for anew; None if none is."""
    found = _of_this_process().get(key_url)
    return None if found is None else (found[0], time.monotonic() - found[1] > OLD_AFTER)


def keep_key(key_url: str, key: str) -> None:
    """Keep a key, and drop the one fetched longest ago where there are too many."""
    keys = _of_this_process()
    keys[key_url] = (key, time.monotonic())
    keys.move_to_end(key_url)
    while len(keys) > MOST_KEYS:
        keys.popitem(last=False)


def forget_keys() -> None:
    """Drop all keys."""
    _of_this_process().clear()


def _of_this_process() -> OrderedDict[str, tuple[str, float]]:
    if _keys.process != os.getpid():
        _keys.process, _keys.found = os.getpid(), OrderedDict()
    return _keys.found


class KeyUnavailableError(Exception):
    """A signing key that can't be had; the message says why."""


class KeyJob(Work):
    """One fetch of a signing key, under the lease of an instance's endpoint."""

    row = CallbackEndpoint

    def __init__(self, instance: Instance, key_url: str, token: str) -> None:
        self.instance, self.key_url = instance, key_url
        self.key, self.token = instance.pk, token
        self.site, self.host = "", (urlsplit(key_url).hostname or "").lower()

    @property
    def subject(self) -> str:
        """What log lines call it."""
        return f"The signing key of {self.instance}"

    @property
    def about(self) -> Mapping[str, int | None]:
        """The instance."""
        return {"instance_id": self.instance.pk}

    def request(self) -> Callable[[], str | KeyUnavailableError]:
        """Return the fetch."""
        try:
            login = _login_of(self.instance, self.key_url)
        except SecretUnreadableError:
            login = None  # a key that needs none is fetched all the same
        return partial(_fetch, outbound_client(), self.key_url, login)

    def commit(self, answer: str | KeyUnavailableError) -> bool:
        """Keep the key, and have what waits for it judged."""
        if isinstance(answer, KeyUnavailableError):
            log.warning("%s", answer)
            self.fail(answer)
            return False
        end_lease(CallbackEndpoint, self.key, self.token, key_error="", next_key_at=None)
        keep_key(self.key_url, answer)
        look_again(CallbackHint.objects.filter(instance=self.instance), timezone.now())
        return False

    def fail(self, error: Exception) -> None:
        """Say why there is none, and wait a minute."""
        again_at = timezone.now() + AGAIN_AFTER
        end_lease(CallbackEndpoint, self.key, self.token, key_error=str(error), next_key_at=again_at)


@dataclass(frozen=True)
class _Login:
    """Where the key route is asked with the instance's login: at the host of its own base URL alone."""

    url: str
    headers: Mapping[str, str] = field(repr=False)


def _login_of(instance: Instance, key_url: str) -> _Login:
    """Return the same route at the instance's own base URL, with its login.

    The host is the configuration's and not the body's, so that keys are sent nowhere else.
    """
    own, route = urlsplit(instance.base_url), urlsplit(key_url)
    credentials = credentials_of(instance)
    headers = {"Accept": "application/json", "Authorization": credentials.authorization}
    if credentials.client_id:
        headers["clientId"] = credentials.client_id
    return _Login(f"{own.scheme}://{own.netloc}{route.path}?{route.query}", headers)


def _fetch(client: OutboundClient, key_url: str, login: _Login | None) -> str | KeyUnavailableError:
    """Fetch a key, without a login first; in a thread. Where there is none, return why."""
    try:
        reply = client.request("GET", key_url, headers={"Accept": "application/json"}, limits=_LIMITS)
        if reply.status in _REFUSED and login is not None:
            reply = client.request("GET", login.url, headers=login.headers, limits=_LIMITS)
        return _key_of(reply)
    except (OutboundError, KeyRefusedError) as error:
        return KeyUnavailableError(f"ConnectWise's signing key can't be had: {error}")


def _key_of(reply: Reply) -> str:
    if reply.status != 200:
        raise KeyRefusedError(f"its route answers {reply.status}.")
    return read_signing_key(reply.body)


def claim_key(instance: Instance, key_url: str) -> KeyJob | None:
    """Claim the fetch of a key, unless one of the instance's is under way, or has just failed."""
    now = timezone.now()
    due = CallbackEndpoint.objects.exclude(next_key_at__gt=now)
    token, keys = claim(due, [instance.pk], now=now, length=LEASE)
    return KeyJob(instance, key_url, token) if keys else None
