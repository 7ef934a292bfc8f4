"""The form of a copy: which resource, and which of its records and fields."""

from __future__ import annotations

from typing import Any

from django import forms

from cwconnect.connectwise.catalogue import all_resources
from cwconnect.core.errors import DomainError
from instances.hub.mappings import names_of
from instances.models import Instance
from polling.copies.queries import read_query


class CopyForm(forms.Form):
    """What is to be copied of an instance; `query` has it in the language of the hub, once it is valid."""

    resource = forms.ChoiceField(label="Resource", error_messages={"required": "Choose a resource."})
    where = forms.CharField(
        label="Where",
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="Only the records that meet this: lastUpdated > '2026-01-01T00:00:00Z' AND company.id = 250.",
    )
    fields_wanted = forms.CharField(
        label="Fields",
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="All of them, unless you name some: id, firstName, company.name, _info.",
    )

    def __init__(self, instance: Instance, data: Any) -> None:
        super().__init__(data, auto_id="%s")
        self.instance, self.query = instance, ""
        names = [resource.name for resource in all_resources()]
        mapped = [name for name in names_of(instance) if name not in names]
        choices: Any = self.fields["resource"]
        choices.choices = [(name, name) for name in names]
        if mapped:
            choices.choices = [*choices.choices, ("By field mappings", [(name, name) for name in mapped])]

    def clean(self) -> dict[str, Any]:
        """Read the query; what is wrong with it stands beside the field that it is of."""
        given = super().clean() or self.cleaned_data
        if "resource" in given:
            query = " ".join(("select", given.get("fields_wanted") or "*", "from", given["resource"]))
            if self._is_read("fields_wanted", query) and (where := given.get("where")):
                query = f"{query} where {where}"
                self._is_read("where", query)
            self.query = query
        return given

    def _is_read(self, field: str, query: str) -> bool:
        try:
            read_query(self.instance, query)
        except DomainError as error:
            self.add_error(field, error.message.removeprefix("Error parsing query: ").capitalize())
            return False
        return True
