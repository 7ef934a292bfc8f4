"""The page *People*: who belongs to the organization, who is invited, and what operators change of that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST, require_safe

from cwconnect.core.errors import ConflictError
from instances import audit, guesses, mails, memberships
from instances.factors.rule import concerned
from instances.interactive import TooManyCallsError, bounded, interactive
from instances.invitations import invite, revoke
from instances.models import Invitation, Membership, Role, SecondFactor
from instances.pages.access import AccountRequest, PageRequest, account_page, operator_page, page
from instances.pages.people_forms import InviteForm
from instances.sign_in_lock import too_many_guesses
from instances.templatetags.people import other_role

_MAY = {
    Role.VIEWER: "sees everything and changes nothing",
    Role.OPERATOR: "creates, changes and deletes instances, releases and replays, and lets people and API keys in",
}


@require_safe
@page
def people(request: PageRequest) -> HttpResponse:
    """Show who belongs to the organization, and to operators who is invited."""
    return _show(request, InviteForm())


def _show(request: PageRequest, form: InviteForm, status: int = 200) -> HttpResponse:
    person = request.person
    invitations: QuerySet[Invitation] = person.organization.invitations.order_by("-pk")
    context = {
        "memberships": person.organization.memberships.select_related("account").order_by("account__username"),
        "invitations": invitations if person.operates else (),
        "now": timezone.now(),
        "form": form,
        "mails": mails.sends_mail(),
        "here": "people",
        "concerned": concerned(person.organization),
        "service_asks": dict(SecondFactor.choices)[settings.SECOND_FACTOR],
        "floor": settings.SECOND_FACTOR != SecondFactor.OPTIONAL,
        "second_factors": SecondFactor.choices,
    }
    return render(request, "instances/people.html", context, status=status)


@sensitive_variables("code", "link")
@require_POST
@operator_page
def invite_person(request: PageRequest) -> HttpResponse:
    """Invite somebody: by mail where an address was given and mail is sent, else by a link that is shown once."""
    form, organization, now = InviteForm(request.POST), request.person.organization, timezone.now()
    if not form.is_valid():
        return _show(request, form, 422)
    given = form.cleaned_data
    email = given["email"] if mails.sends_mail() else ""
    if email:
        key = guesses.key_of(guesses.INVITED, str(organization.pk))
        if wait := guesses.take_turn(key, now):
            return too_many_guesses(request, wait)
        guesses.note_failure(key, now)
    try:
        good_for = timedelta(days=int(given["days"]))
        invitation, code = invite(organization, role=given["role"], email=email, now=now, good_for=good_for)
    except ConflictError as error:
        messages.error(request, error.message)
        return redirect("people")
    return _hand_over(request, invitation, code)


@sensitive_variables("code")
def _hand_over(request: PageRequest, invitation: Invitation, code: str) -> HttpResponse:
    """Send the link; show it where there is no address, or the mail server did not take the mail."""
    path, failure = f"{reverse('join')}#{code}", ""
    if invitation.email:
        try:
            with interactive(request.person.organization.pk):  # the mail server is waited for, as anything outside is
                patience = bounded(mails.LIMITS).connect
                mails.send(invitation.email, *_mail(request, invitation, mails.link_to(path)), patience=patience)
        except (mails.MailError, TooManyCallsError) as error:
            failure = str(error)
        else:
            messages.success(request, f"The invitation is on its way to {invitation.email}.")
            return redirect("people")
    shown = {"invitation": invitation, "link": mails.link_to(path, request), "failure": failure, "here": "people"}
    return render(request, "instances/invited.html", shown | {"may": _MAY[Role(invitation.role)]})


def _mail(request: PageRequest, invitation: Invitation, link: str) -> tuple[str, str]:
    organization, who = invitation.organization.name, request.person.account.get_username()
    text = (
        f"{who} invites you to {organization}, as {invitation.get_role_display().lower()}: "
        f"somebody who {_MAY[Role(invitation.role)]}.\n\n"
        f"Open this link to accept, until {invitation.expires_at:%d %b %Y, %H:%M} UTC. It is good once, for whoever "
        f"has it, so don’t pass it on:\n\n{link}\n\n"
        "If you don’t know what this is about, do nothing.\n"
    )
    return f"Invitation to {' '.join(organization.split())} at cwconnect", text


@require_POST
@operator_page
def require_second_factor(request: PageRequest) -> HttpResponse:
    """Say who of the organization must have a second factor."""
    wanted = request.POST.get("second_factor", "")
    if wanted not in SecondFactor.values:
        messages.error(request, "Choose who must have a second factor.")
    elif memberships.require_second_factor(request.person.organization, wanted):
        messages.success(request, f"Second factor: {SecondFactor(wanted).label.lower()}, from now on.")
    return redirect("people")


@require_POST
@operator_page
def revoke_invitation(request: PageRequest, number: int) -> HttpResponse:
    """End an invitation; 404 for any but the organization's own."""
    invitation = request.person.organization.invitations.filter(pk=number).first()
    if invitation is None:
        raise Http404
    revoke(invitation)
    messages.success(request, "The invitation is revoked: its link opens nothing any more.")
    return redirect("people")


@operator_page
def change_person_role(request: PageRequest, number: int) -> HttpResponse:
    """Ask whether a person is to have the other role; then give it."""
    membership = _membership(request, number)
    other = Role.VIEWER if membership.role == Role.OPERATOR else Role.OPERATOR
    name, word = membership.account.get_username(), other_role(membership.role)
    if request.method == "POST":
        wanted = request.POST.get("role", "")
        if wanted in Role.values:
            _act(request, lambda: memberships.change_role(membership, wanted), f"{name} is {wanted} now.")
        return redirect("people")
    words = [f"{word.capitalize()} {_MAY[other]}.", *_if_last(membership, "be a viewer")]
    return _ask(request, f"Make {name} {word}?", words, f"Make {name} {word}", {"role": other.value})


@operator_page
def remove_person(request: PageRequest, number: int) -> HttpResponse:
    """Ask, and say what stops; then remove a person. Oneself one can leave."""
    membership = _membership(request, number)
    if membership.account_id == request.person.account.pk:
        return leave(request)
    name = membership.account.get_username()
    if request.method == "POST":
        _act(request, lambda: memberships.remove(membership), f"{name} sees nothing of this organization any more.")
        return redirect("people")
    words = [
        f"{name} loses the pages of {request.person.organization.name} at once. Whatever other organizations they "
        "belong to, they go on belonging to.",
        *_of_group(membership),
        *_of_keys(membership),
        *_if_last(membership, "go"),
    ]
    return _ask(request, f"Remove {name}?", words, f"Remove {name}")


@account_page
def leave(request: AccountRequest) -> HttpResponse:
    """Ask, then leave the organization that is looked at: viewers may too."""
    if request.person is None:
        return redirect("overview")
    organization = request.person.organization
    membership = Membership.objects.get(account=request.account, organization=organization)
    if request.method == "POST":
        left = f"You don’t belong to {organization.name} any more."
        done = _act(request, lambda: memberships.remove(membership, leaves=True), left)
        return redirect("overview" if done else "people")
    words = [
        f"You lose the pages of {organization.name} at once; an operator can invite you again.",
        *_of_keys(membership),
        *_if_last(membership, "go"),
    ]
    return _ask(request, f"Leave {organization.name}?", words, f"Leave {organization.name}")


def _membership(request: PageRequest, number: int) -> Membership:
    """Return a membership of the organization; 404 for any other."""
    found = request.person.organization.memberships.select_related("account").filter(pk=number).first()
    if found is None:
        raise Http404
    return found


def _act(request: HttpRequest, act: Any, done: str) -> bool:
    """Do it and say so, or say why not; return whether it was done."""
    try:
        act()
    except ConflictError as error:
        messages.error(request, error.message)
        return False
    messages.success(request, done)
    return True


def _of_keys(membership: Membership) -> list[str]:
    """Say that API keys which the person made, or which bear the name, go on."""
    name = membership.account.get_username()
    users = membership.organization.api_users.all()
    names = sorted(
        {*users.filter(made_by=audit.named(name)).values_list("name", flat=True)[:20]}
        | {*users.filter(name=name).values_list("name", flat=True)}
    )
    if not names:
        return []
    return [f"API keys go on, and whoever knows one may call the API: {', '.join(names)}. Revoke them under API keys."]


def _of_group(membership: Membership) -> list[str]:
    """Say that what a group gives comes again."""
    if not membership.group:
        return []
    return [
        f"The group {membership.group} of the issuer gives this place, and does so again at the next sign-in: take "
        "the person out of it there."
    ]


def _if_last(membership: Membership, what: str) -> list[str]:
    operated = membership.role == Role.OPERATOR
    if not (operated and memberships.is_last_operator(membership)):
        return []
    return [f"The last operator can’t {what}: somebody has to be one. Make somebody else an operator first."]


def _ask(
    request: HttpRequest, question: str, words: list[str], button: str, fields: dict[str, str] | None = None
) -> HttpResponse:
    context = {"question": question, "words": words, "button": button, "fields": fields or {}, "here": "people"}
    return render(request, "instances/ask.html", context | {"back": reverse("people")})
