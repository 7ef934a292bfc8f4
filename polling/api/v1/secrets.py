"""`/v1/secrets`: the users' secrets of an organization. The rules are in `instances.credentials.user_secrets`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import Http404
from django.utils import timezone
from pydantic import Field
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.errors import DomainError
from cwconnect.core.openapi import Operation, described
from instances.api.permission import MANAGES
from instances.credentials.limits import Limits, limits_of_key
from instances.credentials.limits_given import (
    MOST_INSTANCES,
    check_end,
    check_instances,
    check_within,
    read_networks,
    with_writes,
)
from instances.credentials.user_secrets import create_user, revoke_user
from instances.models import ApiUser
from instances.scopes import Scope
from polling.api.v1.base import (
    SECRETS,
    InstanceId,
    Moment,
    Name,
    Networks,
    ScopeName,
    Shape,
    Strict,
    V1View,
    answer,
    read_body,
)
from polling.api.v1.idempotency import ONCE, POSTED, idempotent


class SecretShape(Shape):
    """A user's secret by its name; the secret itself is stored as a hash."""

    id: int
    name: str
    scope: ScopeName
    may_write: bool = Field(description="Whether the scope is manage: what there was before scopes.")
    writes: bool = Field(description="Whether it may write to ConnectWise, by hub routes of instances that allow it.")
    networks: list[str] = Field(description="From where it is good; empty: from anywhere.")
    instances: list[int] | None = Field(description="The ids of the instances that it reaches; null: all there are.")
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewSecretShape(SecretShape):
    """A secret just made; this is the one time that it is shown."""

    secret: str


class SecretPage(Shape):
    """All secrets of the organization."""

    items: list[SecretShape]


class NewSecret(Strict):
    """Whom the secret is for, and its limits: what is not said is as it is of the key that asks."""

    name: Name
    scope: ScopeName | None = Field(None, description="What it may do: manage unless said.")
    may_write: bool | None = Field(None, description="In place of scope: true is manage, false is read.")
    writes: bool | None = Field(
        None, description="Whether a key that manages also writes to ConnectWise; one of the scope write does."
    )
    networks: Networks | None = Field(None, description="From where it is good, in CIDR form, IPv4 or IPv6.")
    instances: list[InstanceId] | None = Field(
        None, description="The instances that it reaches.", min_length=1, max_length=MOST_INSTANCES
    )
    expires_at: Moment | None = Field(None, description="When it ends.")


class OrganizationView(V1View):
    """A route that takes the organization's secret; an Element token speaks for one instance only."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse Element tokens."""
        super().initial(request, *args, **kwargs)
        if self.caller.instance is not None:
            raise PermissionDenied("This takes the organization's secret, without an Element token.")


class KeysView(OrganizationView):
    """A route about keys of the whole organization: one for some instances has no say about them."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse keys for some instances."""
        super().initial(request, *args, **kwargs)
        self.needs_whole_organization()


class SecretsView(KeysView):
    """`/v1/secrets`."""

    scopes = MANAGES

    @described(Operation(SECRETS, "List the API users' keys by name", SecretPage, errors=(400, 403)))
    def get(self, request: Request) -> Response:
        """List the secrets by name."""
        self.no_query()
        users = ApiUser.objects.filter(organization=self.caller.organization, secret_hash__isnull=False)
        return answer(SecretPage(items=[SecretShape(**_columns(user)) for user in users.order_by("name")]))

    @described(
        Operation(
            SECRETS,
            "Make a user's secret, shown here only",
            NewSecretShape,
            201,
            body=NewSecret,
            headers=ONCE,
            errors=(403, *POSTED),
        )
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Make a secret."""
        asked = read_body(NewSecret, request.data)
        user, secret = create_user(self.caller.organization, asked.name, _limits(asked, self.caller.user))
        return answer(NewSecretShape(**_columns(user), secret=secret), 201)


class SecretView(KeysView):
    """`/v1/secrets/{secret}`."""

    scopes = MANAGES

    @described(Operation(SECRETS, "Revoke a secret", status=204, errors=(403, 409)))
    def delete(self, request: Request, secret: str) -> Response:
        """Revoke a secret: it answers 401 from now on."""
        user = ApiUser.objects.filter(organization=self.caller.organization, pk=secret).first()
        if user is None:
            raise Http404
        revoke_user(user)
        return Response(status=204)


def _limits(asked: NewSecret, maker: ApiUser) -> Limits:
    """Return the limits of a key that is asked for; DomainError for what is none, or wider than the maker's own."""
    own, now = limits_of_key(maker), timezone.now()
    if asked.expires_at is not None:
        check_end(asked.expires_at, now)
    limits = Limits(
        scope=_scope(asked),
        networks=own.networks if asked.networks is None else read_networks(asked.networks),
        instance_ids=None if asked.instances is None else check_instances(maker.organization, asked.instances),
        expires_at=asked.expires_at or own.expires_at,
    )
    wanted = with_writes(limits, wanted=bool(asked.writes))
    check_within(wanted, own)
    return wanted


def _scope(asked: NewSecret) -> Scope:
    if asked.may_write is None:
        return Scope(asked.scope or Scope.MANAGE)
    meant = Scope.MANAGE if asked.may_write else Scope.READ
    if asked.scope not in (None, meant.value):
        raise DomainError(f"may_write: says {meant.value}, and scope says {asked.scope}; give one of them.")
    return meant


def _columns(user: ApiUser) -> dict[str, Any]:
    limits = limits_of_key(user)
    said: dict[str, Any] = {
        "scope": limits.scope.value,
        "may_write": limits.scope is Scope.MANAGE,
        "writes": limits.writes,
    }
    said["networks"] = list(limits.networks)
    ids = limits.instance_ids
    plain = {name: getattr(user, name) for name in ("id", "name", "created_at", "expires_at", "last_used_at")}
    return {**plain, **said, "instances": None if ids is None else list(ids)}
