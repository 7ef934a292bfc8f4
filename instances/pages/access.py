"""Who looks at a page: the account, its organization and its role. Every page asks here first.

A page belongs to one organization, the person's current one; what other organizations have does not exist on it. A
viewer reads; whatever changes something takes an operator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, User
from django.contrib.auth.views import redirect_to_login
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRefresh
from django_htmx.middleware import HtmxDetails

from cwconnect.core.time import DisplayZone
from instances.models import Instance, Membership, Organization, Role

ORGANIZATION_KEY = "organization"
ZONE_COOKIE = "cwconnect_zone"
_SAFE = ("GET", "HEAD", "OPTIONS")
P = ParamSpec("P")


@dataclass(frozen=True)
class Person:
    """A signed-in account in one of its organizations."""

    account: AbstractBaseUser
    organization: Organization
    role: str
    organizations: tuple[Organization, ...]

    @property
    def operates(self) -> bool:
        """Whether the person may change things."""
        return self.role == Role.OPERATOR

    def instances(self) -> QuerySet[Instance]:
        """Return the organization's instances."""
        return Instance.objects.filter(organization=self.organization)

    @property
    def has_instances(self) -> bool:
        """Whether the organization has any: one query, each time it is asked."""
        return self.instances().exists()

    def instance(self, number: int) -> Instance:
        """Return one of the organization's instances; 404 for any other."""
        found = self.instances().filter(pk=number).first()
        if found is None:
            raise Http404
        return found


class PageRequest(HttpRequest):
    """A request for a page: somebody is signed in, and belongs somewhere."""

    person: Person
    htmx: HtmxDetails  # true if htmx asks for a part of the page


class AccountRequest(HttpRequest):
    """A request for a page of one's own account: somebody is signed in, and may belong nowhere."""

    account: User
    person: Person | None
    htmx: HtmxDetails


View = Callable[Concatenate[PageRequest, P], HttpResponseBase]


def page(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Make a view a page: for people signed in, in their organization and their time zone; POST is for operators."""
    return _page(view, operators_only=False)


def operator_page(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Make a view a page that operators alone see."""
    return _page(view, operators_only=True)


def account_page(
    view: Callable[Concatenate[AccountRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Make a view a page of the account itself: for whoever is signed in, viewers too, and to change what is theirs."""

    @never_cache
    @wraps(view)
    def shown(request: Any, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        request.account, request.person = request.user, person_of(request)
        with timezone.override(zone_of(request)):
            return view(request, *args, **kwargs)

    return cast(Callable[Concatenate[HttpRequest, P], HttpResponse], shown)


def open_page(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Make a view a page for whoever comes; somebody signed in has the bar above it, as everywhere."""

    @never_cache
    @wraps(view)
    def shown(request: Any) -> HttpResponse:
        request.person = person_of(request) if request.user.is_authenticated else None
        with timezone.override(zone_of(request)):
            return view(request)

    return shown


def _page(view: View[P], *, operators_only: bool) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    @never_cache
    @wraps(view)
    def shown(request: Any, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return reload_page() if request.htmx else redirect_to_login(request.get_full_path())
        person = person_of(request)
        if person is None:
            return render(request, "instances/no_membership.html", status=403)
        request.person = person
        if not person.operates and (operators_only or request.method not in _SAFE):
            return render(request, "instances/viewers_only_look.html", status=403)
        with timezone.override(zone_of(request)):
            return view(request, *args, **kwargs)

    return cast(Callable[Concatenate[HttpRequest, P], HttpResponseBase], shown)


def reload_page() -> HttpResponse:
    """Have the whole page asked for anew: where a script asked for a part, the sign-in must not appear inside it."""
    answer = HttpResponseClientRefresh()
    answer.status_code = 401
    return answer


def person_of(request: HttpRequest) -> Person | None:
    """Return the signed-in person in the organization chosen last, or the first by name; None without a membership."""
    memberships = sorted(memberships_of(request), key=lambda membership: membership.organization.name.lower())
    if not memberships:
        return None
    chosen = request.session.get(ORGANIZATION_KEY)
    current = next((each for each in memberships if each.organization_id == chosen), memberships[0])
    organizations = tuple(each.organization for each in memberships)
    assert isinstance(request.user, AbstractBaseUser)  # noqa: S101  (every page has seen to it)
    return Person(request.user, current.organization, current.role, organizations)


def memberships_of(request: HttpRequest) -> list[Membership]:
    """Return the signed-in account's memberships as they were when the request came, with their organizations."""
    account = request.user.pk
    whose, found = getattr(request, "own_memberships", (None, []))
    if whose != account:
        found = list(Membership.objects.filter(account_id=account).select_related("organization"))
        request.own_memberships = (account, found)  # type: ignore[attr-defined]  # ours alone
    return found


def zone_of(request: HttpRequest) -> DisplayZone:
    """Return the viewer's time zone, which the browser sends in a cookie; else the service's own."""
    name = request.COOKIES.get(ZONE_COOKIE, "")
    try:
        return DisplayZone(name or settings.TIME_ZONE)
    except (ValueError, OSError):  # unknown, or no name of a zone at all
        return DisplayZone(settings.TIME_ZONE)
