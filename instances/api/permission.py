"""What a caller of the REST API may do: each view declares which scope each of its methods takes.

A request passes the narrower of its API key's scope and its Element token's. What declares nothing is refused, whoever
asks: a route that was forgotten is closed, and a test finds it (tests/api/test_scopes.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from instances.api.authentication import Caller
from instances.scopes import Scope

READS: Mapping[str, Scope] = {"GET": Scope.READ}
"""Of a view that only shows."""
MANAGES: Mapping[str, Scope] = {"GET": Scope.READ} | dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), Scope.MANAGE)
"""Of a view whose other methods change what cwconnect keeps, or have it do something: poll, send, compare."""
HUBS: Mapping[str, Scope] = {"GET": Scope.READ} | dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), Scope.WRITE)
"""Of a view that passes on to ConnectWise: to change a record there changes nothing here."""
_AS_GET = {"HEAD": "GET", "OPTIONS": "GET"}


def scope_of(view: object, method: str) -> Scope | None:
    """Return the scope that a view's method takes; None where the view declares none."""
    declared: Mapping[str, Scope] = getattr(view, "scopes", {})
    found = declared.get(_AS_GET.get(method, method))
    return Scope.READ if found is None and method == "OPTIONS" else found


class HasScope(BasePermission):
    """REST framework's permission of every route: 403 that names what is missing."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the caller may ask this by this method, which alone counts: no header stands for another."""
        method = request.method or ""
        if method.lower() not in view.http_method_names or not hasattr(view, method.lower()):
            return True  # it is answered 405
        needed = scope_of(view, method)
        for name, limits in request.auth.limits.items() if isinstance(request.auth, Caller) else ():
            for each in limits:
                if needed is None or not each.scope.covers(needed):
                    self.message = _refusal(name, each.scope, needed)
                    return False
        return isinstance(request.auth, Caller) and needed is not None


def _refusal(name: str, scope: Scope, needed: Scope | None) -> str:
    if needed is None:
        return "No scope is declared for this, so nobody may ask it."
    return f"This takes the scope {needed.value}, and the {name} has the scope {scope.value}."
