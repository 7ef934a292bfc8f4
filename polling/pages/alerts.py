"""The page *Alerts*: open warnings, where warnings go, what is muted, and which went where."""

from __future__ import annotations

from typing import Any, TypeVar

from django.conf import settings
from django.contrib import messages
from django.db.models import Model
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from cwconnect.core.errors import DomainError
from instances.interactive import TooManyCallsError
from instances.models import Organization
from instances.pages.access import PageRequest, operator_page, page
from polling.alerts import destinations as rules
from polling.alerts.sending import AlertSendError, mail_server
from polling.models import Alert, AlertDestination, AlertMute
from polling.pages.alert_forms import DestinationForm, MuteForm
from polling.pages.paging import page_of

PER_PAGE = 25
MOST_OPEN = 50
MOST_MUTES = 50
Row = TypeVar("Row", bound=Model)


@page
def alerts(request: PageRequest) -> HttpResponse:
    """Show the open warnings, the destinations, the mutes, and the history of warnings."""
    organization, now = request.person.organization, timezone.now()
    ours = Alert.objects.filter(organization=organization).order_by("-pk")
    ours = ours.select_related("instance", "receiver", "subscription")
    still_open = ours.filter(resolved_at=None)
    context = {
        "open": still_open[:MOST_OPEN],
        "open_count": still_open.order_by().count(),
        "most_open": MOST_OPEN,
        "destinations": AlertDestination.objects.filter(organization=organization).order_by("name"),
        "mutes": AlertMute.objects.filter(organization=organization, until__gt=now).select_related("instance")[
            :MOST_MUTES
        ],
        "shown": page_of(ours.prefetch_related("sends"), request.GET, PER_PAGE),
        "kinds": Alert.Kind.choices,
        "here": "alerts",
    }
    return render(request, "polling/alerts.html", context | _of_the_service())


def _of_the_service() -> dict[str, object]:
    """Return what the environment says of warnings: of it, that it is there, and no more."""
    return {
        "mail_server": mail_server() is not None,
        "operators_mail": bool(settings.EMAIL_URL),
        "operators_webhook": bool(settings.OPERATOR_WEBHOOK_URL),
        "watched": bool(settings.HEARTBEAT_URL),
        "destination_kinds": AlertDestination.Kind.choices,
    }


@sensitive_post_parameters()
@operator_page
def add_destination(request: PageRequest) -> HttpResponse:
    """Ask where warnings are to go, in the form that `kind` names; then store it."""
    kind = (request.POST if request.method == "POST" else request.GET).get("kind", "")
    if kind not in AlertDestination.Kind.values:
        kind = AlertDestination.Kind.WEBHOOK
    try:
        destination = rules.new_destination(request.person.organization, kind, timezone.now())
    except DomainError as error:
        messages.error(request, error.message)
        return redirect("alerts-page")
    return _edited(request, destination)


@sensitive_post_parameters()
@operator_page
def edit_destination(request: PageRequest, number: int) -> HttpResponse:
    """Show and change where warnings go; of a stored URL only where it leads."""
    return _edited(request, _own(AlertDestination, request.person.organization, number))


def _edited(request: PageRequest, destination: AlertDestination) -> HttpResponse:
    sent = request.method == "POST"
    form = DestinationForm(request.POST if sent else None, destination)
    if sent and form.is_valid():
        try:
            rules.save_destination(destination, **form.wanted(), now=timezone.now())
        except DomainError as error:
            form.add_error("name", error.message)
        else:
            messages.success(request, f"{destination.name} is saved. Send a test to see that warnings arrive.")
            return redirect("alerts-page")
    context = {"destination": destination, "form": form, "here": "alerts"}
    return render(request, "polling/alert_destination.html", context, status=422 if sent else 200)


@require_POST
@operator_page
def test_destination(request: PageRequest, number: int) -> HttpResponse:
    """Send a test there, and say what came of it."""
    destination = _own(AlertDestination, request.person.organization, number)
    try:
        said = rules.send_test(destination, timezone.now())
    except AlertSendError as error:
        messages.error(request, f"The test did not arrive at {destination.name}. {error}")
    except TooManyCallsError as error:
        messages.error(request, error.message)
    except DomainError as error:
        messages.warning(request, error.message)
    else:
        messages.success(request, f"The test is sent to {destination.name}. {said}")
    return redirect("alerts-page")


@require_POST
@operator_page
def remove_destination(request: PageRequest, number: int) -> HttpResponse:
    """Send no more warnings there."""
    destination = _own(AlertDestination, request.person.organization, number)
    rules.remove_destination(destination)
    messages.success(request, f"{destination.name} is removed: no more warnings go there.")
    return redirect("alerts-page")


@operator_page
def mute(request: PageRequest) -> HttpResponse:
    """Ask what to mute and until when, as the warning `alert` suggests; then do."""
    organization, sent = request.person.organization, request.method == "POST"
    form = MuteForm(request.POST if sent else None, organization, initial=_suggested(request))
    if sent and form.is_valid():
        given, now = form.cleaned_data, timezone.now()
        by = request.person.account.get_username()
        try:
            wanted: dict[str, Any] = {"instance": given["instance"], "kind": given["kind"], "until": form.end}
            rules.mute(organization, **wanted, by=by, now=now)
        except DomainError as error:
            form.add_error("until", error.message)
        else:
            messages.success(request, "Muted. What still holds when that ends is sent then.")
            return redirect("alerts-page")
    return render(request, "polling/mute_alerts.html", {"form": form, "here": "alerts"}, status=422 if sent else 200)


def _suggested(request: PageRequest) -> dict[str, object]:
    number = request.GET.get("alert", "")
    if not (number.isdecimal() and len(number) < 19):
        return {}
    alert = Alert.objects.filter(organization=request.person.organization, pk=int(number)).first()
    return {"instance": alert.instance_id or "", "kind": alert.kind} if alert else {}


@require_POST
@operator_page
def unmute(request: PageRequest, number: int) -> HttpResponse:
    """End a mute."""
    rules.end_mute(_own(AlertMute, request.person.organization, number), timezone.now())
    messages.success(request, "No longer muted. What was kept back and still holds is sent within a minute.")
    return redirect("alerts-page")


@require_POST
@operator_page
def acknowledge(request: PageRequest, number: int) -> HttpResponse:
    """Note that a person knows of a warning."""
    alert = _own(Alert, request.person.organization, number)
    if rules.acknowledge(alert, request.person.account.get_username(), timezone.now()):
        messages.success(request, "Acknowledged: everybody sees that you know of it.")
    else:
        messages.info(request, "It is over, or somebody acknowledged it already.")
    return redirect("alerts-page")


def _own(model: type[Row], organization: Organization, number: int) -> Row:
    """Return a row of the person's organization; 404 for any other."""
    found = model._default_manager.filter(organization=organization, pk=number).first()  # noqa: SLF001  (documented API of models)
    if found is None:
        raise Http404
    return found
