"""What is wrong with a form, for the summary above it and for the title of its page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django import template
from django.forms import BaseForm, RadioSelect

register = template.Library()


@dataclass(frozen=True)
class Mistake:
    """One wrong field: what it is called, the id of the element that has to be mended, and what is wrong."""

    label: str
    place: str
    text: str


@dataclass(frozen=True)
class Summary:
    """What is wrong in all: sentences about no single field, and the fields in the order in which they stand."""

    general: list[str]
    fields: list[Mistake]

    def __bool__(self) -> bool:
        return bool(self.general or self.fields)


@register.simple_tag
def mistakes(form: BaseForm | None = None, also: Iterable[BaseForm] | str = ()) -> Summary:
    """Return what is wrong with a form and `also` with further ones of the page; templates give "" for none."""
    every = [each for each in (form, *also) if isinstance(each, BaseForm)]
    general = [str(text) for each in every for text in each.non_field_errors()]
    # Of what nobody sees there is nothing to lead to.
    general += [f"{field.label}: {text}" for each in every for field in each.hidden_fields() for text in field.errors]
    return Summary(general, [mistake for each in every for mistake in _of_fields(each)])


def _of_fields(form: BaseForm) -> Iterator[Mistake]:
    within = str(getattr(form, "about", ""))
    for field in form.visible_fields():
        if field.errors:
            label = f"{within}, {field.label}" if within else str(field.label)
            first_box = f"{field.auto_id}_0" if isinstance(field.field.widget, RadioSelect) else field.auto_id
            yield Mistake(label, field.id_for_label or first_box, " ".join(str(text) for text in field.errors))
