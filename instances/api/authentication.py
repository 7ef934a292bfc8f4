"""Who calls the REST API: the header of docs/wire-contract.md#1-authorization-header.

`User <secret>, Organization <secret>` for the platform's routes, `User <secret>, Element <token>` for those of one
instance; all three together are accepted, in any order, with optional spaces, and `Element: <token>` too, as one
published client writes it. Secrets are looked up by their hash. Every failure is the same 401, so that nobody learns
which part was wrong. What a caller may do, `permission` says.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from cwconnect.core import networks
from cwconnect.core.client_ip import address_in, client_address
from instances.api.key_use import note_refused, note_use
from instances.api.throttling import check_failures, note_failure
from instances.credentials.limits import Limits, limits_of_former_token, limits_of_key, limits_of_token
from instances.models import ApiUser, Instance, Organization
from instances.secrets import hash_token

REALM = "User, Organization"
_MISSING = "No Authorization header found. Send: User <user secret>, Organization <organization secret>"
_WRONG = "Invalid Organization or User secret, or invalid Element token provided."
_PART = re.compile(r"\s*(user|organization|element)(?:\s*:\s*|\s+)([A-Za-z0-9+/=]{1,512})\s*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Principal:
    """The API user as REST framework's permissions see it."""

    api_user: ApiUser
    is_authenticated: bool = True

    def __str__(self) -> str:
        return str(self.api_user)


@dataclass(frozen=True)
class Caller:
    """On whose behalf a request is made; `instance` is that of the Element token, if one was sent."""

    organization: Organization
    user: ApiUser
    instance: Instance | None = None
    limits: Mapping[str, tuple[Limits, ...]] = field(default_factory=dict)
    """What the request passes, all of it: of the API key, and of the Element token."""

    @property
    def instance_ids(self) -> tuple[int, ...] | None:
        """The instances that the API key names; None where it is good for all of the organization."""
        return limits_of_key(self.user).instance_ids


class SecretsAuthentication(BaseAuthentication):
    """REST framework's way to `find_caller`: `request.auth` is the Caller."""

    def authenticate(self, request: Request) -> tuple[Principal, Caller] | None:
        """Return principal and caller; 401 for anything that is not right, 429 after too much of that.

        403 where all is right and comes from an address that it is not good from: no guess, and counted as none.
        """
        header = request.headers.get("Authorization", "")
        if not header.strip():
            raise AuthenticationFailed(_MISSING)
        check_failures(request, header)
        caller = find_caller(header)
        if caller is None:
            note_failure(request, header)
            raise AuthenticationFailed(_WRONG)
        _check_address(caller, client_address(request))
        note_use(caller.user, timezone.now())
        return Principal(caller.user), caller

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return f'User realm="{REALM}"'


def _check_address(caller: Caller, text: str) -> None:
    address = address_in(text)
    for name, limits in caller.limits.items():
        if not all(networks.holds(each.networks, address) for each in limits):
            shown = str(address) if address else "unknown"
            note_refused(caller.user, caller.instance, name, shown)
            raise PermissionDenied(f"This {name} may not be used from here: your address is {shown}.")


def parse_header(header: str) -> Mapping[str, str] | None:
    """Return the header's parts by name in lower case; None if a part can't be read, is unknown or stands twice."""
    parts: dict[str, str] = {}
    for text in header.split(","):
        match = _PART.fullmatch(text)
        if match is None or match[1].lower() in parts:
            return None
        parts[match[1].lower()] = match[2]
    return parts


def find_caller(header: str) -> Caller | None:
    """Return whom the header proves; None unless every part is right and all belong to one organization."""
    parts = parse_header(header)
    if parts is None or "user" not in parts or len(parts) < 2:
        return None
    users = ApiUser.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
    user = users.select_related("organization").filter(secret_hash=hash_token(parts["user"])).first()
    if user is None or not _owns(user, parts.get("organization")):
        return None
    of_key = {"API key": (limits_of_key(user),)}
    if "element" not in parts:
        return Caller(user.organization, user, limits=of_key)
    instance, limits = _instance_of(user.organization, hash_token(parts["element"]))
    if instance is None or not limits_of_key(user).reaches(instance.pk):
        return None
    return Caller(user.organization, user, instance, of_key | {"Element token": limits})


def _instance_of(organization: Organization, token_hash: str) -> tuple[Instance | None, tuple[Limits, ...]]:
    """Return the instance whose token it is, or was until a time that has not come yet, and the token's limits."""
    now = timezone.now()
    good = Q(token_expires_at=None) | Q(token_expires_at__gt=now)
    own = Instance.objects.filter(good, organization=organization)
    if instance := own.filter(token_hash=token_hash).first():
        return instance, (limits_of_token(instance),)
    if instance := own.filter(previous_token_hash=token_hash, previous_token_until__gt=now).first():
        return instance, (limits_of_token(instance), limits_of_former_token(instance))
    return None, ()


def _owns(user: ApiUser, secret: str | None) -> bool:
    """Return whether it is the organization's secret, or the one that came with the key."""
    if secret is None:
        return True  # an Element token stands in its place
    given = hash_token(secret)
    own = (user.organization.secret_hash, user.organization_secret_hash)
    return any(hmac.compare_digest(given, each or "") for each in own)
