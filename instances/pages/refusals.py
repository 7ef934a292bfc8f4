"""What was refused, on a form: in the words of *Test connection*, beside each field that it may be the fault of."""

from __future__ import annotations

from collections.abc import Mapping

from django import forms

from cwconnect.core.errors import DomainError
from instances.configuration.config_keys import POLLS
from instances.configuration.values import ConfigurationError
from instances.connection_test import Finding, explain_refusal
from instances.pages.forms import SITES
from instances.pages.poll_form import PollForm
from instances.pages.wire_form import WireForm, blame, in_titles, note, say_above
from instances.watch_starts import ConnectWiseRefusedError

Polls = Mapping[str, PollForm]
_SITES = dict(SITES)


def show_refusal(
    error: DomainError, form: forms.Form, *, others: tuple[WireForm, ...] = (), polls: Polls | None = None
) -> None:
    """Put what was refused beside the fields of a form, of `others` and of the `polls` by name; the rest above all."""
    if isinstance(error, ConfigurationError):
        show_problems(error.problems, form, others=others, polls=polls)
    elif isinstance(error, ConnectWiseRefusedError):
        _show_finding(explain_refusal(error), form, polls or {})
    else:
        note(form, None, in_titles(words_of(error)))


def show_problems(
    problems: Mapping[str, str], form: forms.Form, *, others: tuple[WireForm, ...] = (), polls: Polls | None = None
) -> None:
    """Put what is wrong, by wire key, where it belongs."""
    for name, poll in sorted((polls or {}).items(), key=lambda item: -len(item[0])):  # a name may begin another
        own = f"{POLLS}.{name}"
        mine = {path: text for path, text in problems.items() if path == own or path.startswith(f"{own}.")}
        poll.note({path.removeprefix(own).removeprefix("."): text for path, text in mine.items()})
        problems = {path: text for path, text in problems.items() if path not in mine}
    wire = (form,) if isinstance(form, WireForm) else ()
    say_above(form, blame(problems, *wire, *others))


def _show_finding(finding: Finding, form: forms.Form, polls: Polls) -> None:
    note(form, None, in_titles(" ".join(part for part in (finding.text, finding.advice, quoted(finding)) if part)))
    mark_fields(finding, form)
    if finding.resource in polls:
        note(polls[finding.resource], "url", finding.text)


def mark_fields(finding: Finding, form: forms.Form) -> None:
    """Put what was found beside each field of a form that it may be the fault of."""
    for name in places_of(finding, form):
        note(form, name, finding.text)


def places_of(finding: Finding, form: forms.Form) -> list[str]:
    """Return the names of the form's fields that a finding may be the fault of; a known site is chosen, not typed."""
    chosen = form["site"].value() if "site" in form.fields else ""
    site = "site" if chosen in _SITES and chosen != "own" else "base_url"
    return [name for name in (site if each == "base_url" else each for each in finding.fields) if name in form.fields]


def links_of(finding: Finding, form: forms.Form) -> list[tuple[str, str]]:
    """Return id and label of those fields."""
    return [(form[name].id_for_label, str(form[name].label)) for name in places_of(finding, form)]


def quoted(finding: Finding) -> str:
    """Return ConnectWise's own words, as such."""
    return f"ConnectWise says: “{finding.words}”" if finding.words else ""


def words_of(error: DomainError) -> str:
    """Return a refusal with ConnectWise's own words."""
    words = f" ConnectWise says: “{error.provider_message}”" if error.provider_message else ""
    return f"{error.message}{words}"
