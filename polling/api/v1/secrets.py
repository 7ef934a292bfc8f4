"""`/v1/secrets`: the users' secrets of an organization. The rules are in `instances.credentials.user_secrets`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import Http404
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.openapi import Operation, described
from instances.credentials.user_secrets import create_user, revoke_user
from instances.models import ApiUser
from polling.api.v1.base import (
    SECRETS,
    Name,
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
    may_write: bool
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
    """Whom the secret is for, and whether it may change things."""

    name: Name
    may_write: bool = True


class OrganizationView(V1View):
    """A route that takes the organization's secret; an Element token speaks for one instance only."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse Element tokens."""
        super().initial(request, *args, **kwargs)
        if self.caller.instance is not None:
            raise PermissionDenied("This takes the organization's secret, without an Element token.")


class SecretsView(OrganizationView):
    """`/v1/secrets`."""

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
        user, secret = create_user(self.caller.organization, asked.name, may_write=asked.may_write)
        return answer(NewSecretShape(**_columns(user), secret=secret), 201)


class SecretView(OrganizationView):
    """`/v1/secrets/{secret}`."""

    @described(Operation(SECRETS, "Revoke a secret", status=204, errors=(403, 409)))
    def delete(self, request: Request, secret: str) -> Response:
        """Revoke a secret: it answers 401 from now on."""
        user = ApiUser.objects.filter(organization=self.caller.organization, pk=secret).first()
        if user is None:
            raise Http404
        revoke_user(user)
        return Response(status=204)


def _columns(user: ApiUser) -> dict[str, Any]:
    return {name: getattr(user, name) for name in SecretShape.model_fields}
