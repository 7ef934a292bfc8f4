"""The form of one resource poll: its keys as fields (poll_fields.py), the same as JSON, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from django.http import QueryDict

from instances.configuration.values import ConfigurationError
from instances.pages.field_names import usual_fields
from instances.pages.poll_fields import (
    GROUPS,
    KEY_AT,
    NUMBER,
    POLL_KEYS,
    SWITCH,
    PollKey,
    read_posted,
    shown_text,
    written,
)
from instances.pages.wire_form import OFF, as_sentence, note

_NO_ID = re.compile(r"[^\w-]", re.ASCII)


class PollForm(forms.Form):
    """The keys of a resource poll. It shows a configuration, and is given what is wrong; it holds no rules itself."""

    use_required_attribute = False

    def __init__(self, configuration: Mapping[str, Any], *, prefix: str, was: str | None = None) -> None:
        super().__init__(prefix=prefix)
        self.about = ""  # the resource's name, where a page has several
        self.configuration = dict(configuration)
        self.known = usual_fields(prefix)
        self.names_id = field_name_in(prefix, "field-names")
        self.names_url = ""  # where an instance's own fields are asked for; without one there is the table alone
        self.wrong: ConfigurationError | None = None  # of the JSON, if it can't be read
        for key in POLL_KEYS:
            self.fields[key.name] = _field(key, shown_text(configuration, key), self.names_id)
        area = forms.Textarea(attrs={"rows": 14, "spellcheck": "false", "data-poll-json": ""})
        self.fields["json"] = forms.CharField(label="All of it as JSON", required=False, widget=area)
        whole: Any = self.fields["json"]
        whole.hide_optional = True
        self.fields["was"] = forms.CharField(required=False, widget=forms.HiddenInput)
        self.initial = {"json": written(configuration), "was": written(configuration) if was is None else was}

    def add_prefix(self, field_name: str) -> str:
        """Name the fields by resource and key, `contacts.pageSize`; by the key alone where the page has one poll."""
        return field_name_in(self.prefix or "", field_name)

    def groups(self) -> Iterator[tuple[str, list[BoundField]]]:
        """Return the fields of the keys, by what they are about."""
        for legend, keys in GROUPS:
            yield legend, [self[key.name] for key in keys]

    def note(self, problems: Mapping[str, str]) -> None:
        """Put what is wrong beside the fields, by the path of the key; what no field stands for, beside the JSON."""
        for path, text in problems.items():
            key = KEY_AT.get(path)
            if key is not None:
                note(self, key.name, as_sentence(text))
            else:
                note(self, "json", as_sentence(text) if not path else f"{path}: {as_sentence(text)}")


def field_name_in(prefix: str, name: str) -> str:
    """Return the name under which a form of that prefix sends a field; blanks and signs have no place in an id."""
    return f"{_NO_ID.sub('_', prefix)}.{name}" if prefix else name


def posted_form(data: QueryDict, prefix: str, base: Mapping[str, Any]) -> PollForm:
    """Return the form as it was sent, over what it was made from; unreadable JSON stands in it as it was typed."""
    names = {name: field_name_in(prefix, name) for name in ("json", "was", *(key.name for key in POLL_KEYS))}
    given = {name: str(data[sent]) for name, sent in names.items() if sent in data}
    given |= {key.name: "true" for key in POLL_KEYS if key.kind == SWITCH and given.get(key.name) == "on"}
    configuration, wrong = read_posted(given, base)
    form = PollForm(configuration, prefix=prefix, was=given.get("was", written(base)) if wrong else None)
    if wrong:
        form.wrong, form.initial["json"] = wrong, given["json"]
        form.note(wrong.problems)
    return form


def _field(key: PollKey, shown: str, names_id: str) -> Any:
    marks = {"data-poll-key": " ".join(key.places), "data-kind": key.kind, "data-default": key.default}
    options: dict[str, Any] = {"label": key.label, "help_text": key.help, "required": False}
    field: Any
    if key.kind == SWITCH:
        field = forms.BooleanField(initial=shown == "true", widget=forms.CheckboxInput(attrs=marks), **options)
        field.off_is_sent = True  # by a hidden field: a form without the box says nothing of it
    else:
        number = {"inputmode": "numeric"} if key.kind == NUMBER else {}
        offered = {"list": names_id} if key.names_field else {}
        widget = forms.TextInput(attrs=OFF | marks | number | offered | {"placeholder": key.default})
        field = forms.CharField(initial=shown, widget=widget, **options)
    field.hide_optional, field.unit, field.wide = True, key.unit, key.wide
    return field
