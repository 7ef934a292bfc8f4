"""The form of a filter: its fields (filter_fields.py), the same as JSON, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from django import forms
from django.forms.boundfield import BoundField
from django.http import QueryDict

from cwconnect.core.unseen import trim
from instances.pages.field_names import usual_fields
from instances.pages.wire_form import OFF, as_sentence, note
from polling.filters.reading import KINDS, Filter, FilterError, parse_filter
from polling.pages.filter_fields import (
    MOST_ROWS,
    FilterFields,
    Posted,
    Row,
    problems_of,
    read_posted,
    written,
)

PREFIX: Final = "filter"
_SPARE: Final = 2  # rows without anything in them
_MOST_NAMED: Final = 20  # resources whose field names are offered
_NAMES_ID: Final = "names-of-fields"
_KINDS = [(kind, kind.capitalize()) for kind in KINDS]


class FilterForm(forms.Form):
    """What a filter asks for. It shows a filter, and is given what is wrong; it holds no rules itself."""

    use_required_attribute = False

    def __init__(self, posted: Posted, *, polled: Collection[str], first: str | None = None) -> None:
        """`polled` are the names of what the instance polls; `first` is the JSON that all of the form showed first."""
        super().__init__(prefix=PREFIX)
        self.posted, self.wanted, shown = posted, posted.wanted, posted.fields
        names = list(dict.fromkeys((*polled, *shown.resources)))
        self.known = _names_offered(shown.resources or names)
        self.names_id = _NAMES_ID
        self.fields["resources"] = _boxes("Resources", [(name, _named(name, polled)) for name in names])
        self.fields["kinds"] = _boxes("Kinds of change", _KINDS)
        self.fields["where"] = _text(
            "Where",
            "What the record has to meet, in CEQL: status.name = 'Closed' AND company.id IN (17, 18).",
            forms.Textarea(attrs=OFF | {"rows": 2}),
        )
        self._count = len(shown.rows) + _SPARE
        for place in range(self._count):
            self._add_row(place)
        area = forms.Textarea(attrs={"rows": 8, "spellcheck": "false"})
        self.fields["json"] = _text("All of it as JSON", "", area)
        self.fields["was"] = forms.CharField(required=False, widget=forms.HiddenInput)
        text = written(self.wanted)
        self.initial = {"json": text, "was": text if first is None else first}
        self.initial |= {"resources": list(shown.resources), "kinds": list(shown.kinds), "where": shown.where}
        for place, row in enumerate(shown.rows):
            self.initial |= {
                _at(place, "field"): row.field,
                _at(place, "from"): row.before,
                _at(place, "to"): row.after,
            }
        for place, text in problems_of(shown.rows).items():
            row = shown.rows[place]
            note(self, _at(place, "field" if row.field else "from" if row.before else "to"), text)

    def _add_row(self, place: int) -> None:
        offered = forms.TextInput(attrs=OFF | {"list": _NAMES_ID})
        self.fields[_at(place, "field")] = _text("Field", "", offered)
        for part, label in (("from", "From"), ("to", "To")):
            widget = forms.TextInput(attrs=OFF | {"placeholder": f"{part} anything"})
            self.fields[_at(place, part)] = _text(label, "", widget)

    def rows(self) -> Iterator[tuple[BoundField, BoundField, BoundField]]:
        """Return the fields of what has to have changed, a row each: the field, what it was, what it is."""
        for place in range(self._count):
            yield self[_at(place, "field")], self[_at(place, "from")], self[_at(place, "to")]

    @property
    def text(self) -> str:
        """The filter as it is stored: as short as JSON can be."""
        return json.dumps(self.wanted, ensure_ascii=False, separators=(",", ":"))

    def filter(self) -> Filter | None:
        """Return the filter that the form asks for; None where it can't be read, which is then said beside a field."""
        if not self.errors:
            try:
                return parse_filter(self.text)
            except FilterError as error:
                member, colon, words = str(error).partition(": ")
                self.note({member: words} if colon and " " not in member else {"": str(error).removeprefix("it ")})
        return None

    def note(self, problems: Mapping[str, str]) -> None:
        """Put what is wrong beside the fields, by the path of the member in the filter; the rest beside the JSON."""
        for path, text in problems.items():
            member, _, name = path.partition(".")
            place = self._place_of(member, name)
            note(self, place or "json", as_sentence(text) if place or not path else f"{path}: {as_sentence(text)}")

    def _place_of(self, member: str, name: str) -> str | None:
        """Return the field that stands for a member of the filter, or for one name in it."""
        if member in ("resources", "kinds", "where"):
            return member
        rows = list(enumerate(self.posted.fields.rows))
        if member == "changed":
            alone = [place for place, row in rows if not (row.before or row.after)]
            number = int(name) if name.isdecimal() else 0
            return _at(alone[number], "field") if number < len(alone) else None
        found = [place for place, row in rows if row.field[:50] == name[:50] and member in ("from", "to")]
        return _at(found[-1], member) if found else None


def stored_form(text: str, polled: Collection[str]) -> FilterForm:
    """Return the form of a filter as it is stored; blank: none."""
    return _form(read_posted(text, "", None, polled), text, None, polled)


def posted_form(data: QueryDict, polled: Collection[str]) -> FilterForm:
    """Return the form as it was sent; unreadable JSON stands in it as it was typed."""
    whole, was = (data.get(f"{PREFIX}-{name}", "") for name in ("json", "was"))
    typed = _typed(data) if f"{PREFIX}-where" in data else None
    whole = whole if f"{PREFIX}-json" in data else was
    return _form(read_posted(whole, was, typed, polled), whole, was, polled)


def _form(posted: Posted, whole: str, was: str | None, polled: Collection[str]) -> FilterForm:
    form = FilterForm(posted, polled=polled, first=was if posted.wrong or problems_of(posted.fields.rows) else None)
    if posted.wrong:
        form.initial["json"] = whole
        form.note(posted.wrong.problems)
    return form


def _typed(data: QueryDict) -> FilterFields:
    """Return what stands in the fields as they were sent."""
    places: list[Row] = []
    while len(places) < MOST_ROWS and (name := f"{PREFIX}-{_at(len(places), 'field')}") in data:
        start = name.removesuffix("field")
        places.append(Row(*(trim(str(data.get(start + part, ""))) for part in ("field", "from", "to"))))
    while places and not places[-1]:
        places.pop()
    chosen = set(data.getlist(f"{PREFIX}-kinds"))
    return FilterFields(
        resources=tuple(sorted(set(data.getlist(f"{PREFIX}-resources")))),
        kinds=tuple(kind for kind in KINDS if kind in chosen),
        where=trim(str(data.get(f"{PREFIX}-where", "")).replace("\r\n", "\n").replace("\r", "\n")),
        rows=tuple(places),
    )


def _at(place: int, part: str) -> str:
    return f"row-{place}-{part}"


def _named(name: str, polled: Collection[str]) -> str:
    return name if name in polled else f"{name} (not polled)"


def _boxes(label: str, choices: list[tuple[str, str]]) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=label, choices=choices, required=False, widget=forms.CheckboxSelectMultiple, help_text="None chosen: all."
    )


def _text(label: str, help_text: str, widget: forms.Widget) -> forms.CharField:
    field: Any = forms.CharField(label=label, help_text=help_text, required=False, widget=widget)
    field.hide_optional = True
    return field  # type: ignore[no-any-return]  # the page's template reads what is noted on it


def _names_offered(resources: Collection[str]) -> list[Any]:
    """Return the fields that conditions may name, of these resources, each name once."""
    every = (field for name in list(resources)[:_MOST_NAMED] for field in usual_fields(name))
    return sorted({field.name: field for field in every}.values(), key=lambda field: field.name)
