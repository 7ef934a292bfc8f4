"""Fields of pages' forms for texts that people type or paste."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from cwconnect.core.unseen import find_unseen_in_name, trim


class SeenField(forms.CharField):
    """A text without the blanks at its ends; what else nobody sees is left to the rules, which name it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(strip=False, **options)

    def to_python(self, value: Any) -> Any:
        """Take the blanks off, and no other white space."""
        return trim(super().to_python(value) or "") or self.empty_value


class NameField(SeenField):
    """A name that people chose; one with characters that nobody sees is an error that names them."""

    def validate(self, value: Any) -> None:
        """Refuse what makes the name differ from one that looks the same."""
        super().validate(value)
        check_name(value)


def check_name(value: str) -> None:
    """Raise ValidationError for a name that holds what nobody sees."""
    if unseen := find_unseen_in_name(value):
        raise ValidationError(f"This holds {unseen}.")
