"""Forms whose fields stand for keys of the wire's configuration, and how what is wrong with a key is said on a page.

A page speaks the words of its labels: a wire key (`event.notification.callback.url`) is a word of the API alone. What
no field of the page stands for is named by the title of its key (config_keys.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django import forms

from cwconnect.core.form_fields import SeenField
from instances.configuration.config_keys import KEYS, Key

OFF = {"autocomplete": "off", "spellcheck": "false"}
_TITLES = {spelling: key.title for key in KEYS for spelling in (key.name, *key.spellings)}
# A key of one small word (`company`) is a word of its own, and may stand in any sentence.
_WRITTEN = sorted((name for name in _TITLES if not name.islower() or "." in name), key=len, reverse=True)
_NAMED = re.compile("|".join(rf"(?<![\w.]){re.escape(name)}(?!\w)" for name in _WRITTEN))


def text_field(label: str, *, longest: int = 200, required: bool = True, **options: Any) -> Any:
    """Make a field for a text of at most `longest` characters."""
    options.setdefault("widget", forms.TextInput(attrs=OFF))
    return SeenField(label=label, max_length=longest, required=required, **options)


def secret_field(label: str, *, required: bool = True, **options: Any) -> Any:
    """Make a field for a secret. What was typed into a form that failed is kept in it; what is stored never shows."""
    widget = forms.PasswordInput(render_value=True, attrs=OFF | {"autocomplete": "new-password"})
    return text_field(label, longest=1000, required=required, widget=widget, **options)


def signature_key_field() -> Any:
    """Make the field for what signs the notifications of a receiver."""
    return secret_field(
        "Signature key",
        required=False,
        help_text="Signs every notification, so that the receiver can see that it is genuine. When you change it, the "
        "former key signs beside the new one for a day.",
    )


def headers_field() -> Any:
    """Make the field for further headers of a receiver's notifications."""
    return text_field(
        "Further headers",
        longest=20_000,
        required=False,
        widget=forms.Textarea(attrs=OFF | {"rows": 2, "placeholder": "Name: value"}),
        help_text="One a line; sent with each notification.",
    )


def note(form: forms.Form, name: str | None, text: str) -> None:
    """Put an error beside a field, or with None above all; also of a form that was not sent, as it stands."""
    if not form.is_bound and not hasattr(form, "cleaned_data"):
        form.cleaned_data = {}
    form.add_error(name, text)


def as_sentence(text: str) -> str:
    """Return what is wrong with a key as a sentence of its own, in the words of the pages."""
    said = in_titles(f"This {text}" if text[:1].islower() else text)
    return said if said.endswith((".", "?", "!")) else said + "."


def in_titles(text: str) -> str:
    """Return a text with the titles of the wire keys that it names."""
    return _NAMED.sub(lambda found: f"“{_TITLES[found[0]]}”", text)


class WireForm(forms.Form):
    """A form whose fields stand for those keys of the wire's configuration that fill the field of their name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "base_url" in self.fields:
            field: Any = self.fields["base_url"]
            field.hide_optional = True  # it is needed where no site of the list is chosen

    def wire_keys(self) -> list[Key]:
        """Return the wire keys that this form's fields stand for."""
        return [key for key in KEYS if key.field in self.fields]

    def wire(self) -> dict[str, Any]:
        """Return what was typed, by wire key."""
        return {key.name: self.cleaned_data.get(key.field, "") for key in self.wire_keys()}


def blame(problems: Mapping[str, str], *wire_forms: WireForm) -> dict[str, str]:
    """Put each problem, by wire key, beside the field that stands for it in one of the forms; give the others.

    A field that has an error already keeps it: what could not be read lacks as well.
    """
    places = {key.name: (form, key.field) for form in reversed(wire_forms) for key in form.wire_keys()}
    for path in problems.keys() & places.keys():
        form, field = places[path]
        if field not in form.errors:
            note(form, field, as_sentence(problems[path]))
    return {path: text for path, text in problems.items() if path not in places}


def say_above(form: forms.Form, problems: Mapping[str, str]) -> None:
    """Say above a form what is wrong with keys that no field of the page stands for, by the titles of the keys."""
    for path, text in problems.items():
        note(form, None, f"{title_of(path)}: {as_sentence(text)}")


def title_of(path: str) -> str:
    """Return what people call a key of the configuration, or a path below one: `Configure Polling, contacts, url`."""
    for name in sorted(_TITLES, key=len, reverse=True):
        if path == name or path.startswith(f"{name}."):
            return ", ".join((_TITLES[name], *path.removeprefix(name).split(".")[1:]))
    return path
