"""The choice of resources on a page: a box for each of the catalogue, and its options as a form and as JSON.

The common ones have their options beside them, and so has each other that is chosen. Of the many more there is a box
alone: the page stays light, and what is chosen of them has its options when it comes back, and once the instance is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from cwconnect.connectwise.catalogue import (
    DEFAULT_RESOURCES,
    all_resources,
    default_configuration,
    find_resource,
    further_by_module,
)
from cwconnect.connectwise.common_resources import COMMON_RESOURCES
from cwconnect.connectwise.resource import Resource
from instances.configuration.config_keys import POLLS
from instances.configuration.values import ConfigurationError
from instances.pages.poll_fields import written
from instances.pages.poll_form import PollForm, field_name_in, posted_form


@dataclass(frozen=True)
class Choice:
    """One resource of the catalogue, as the page shows it.

    Its form is made where something of it was sent. The page has many: of the others it shows the JSON that `json` is,
    and a script asks for the fields when they are wanted.
    """

    resource: Resource
    chosen: bool = False
    form: PollForm | None = None

    @property
    def words(self) -> str:
        """What the search among the resources finds it by."""
        return " ".join((self.resource.name, self.resource.path, *self.resource.aliases)).lower()

    @property
    def json_name(self) -> str:
        """The name under which its JSON is sent."""
        return field_name_in(self.resource.name, "json")

    @property
    def json(self) -> str:
        """Its usual configuration as JSON."""
        return written(default_configuration(self.resource))


def blank_choices(asked: str = "") -> list[Choice]:
    """Return the common resources with the usual ones chosen, or that alone which was `asked` for by its name."""
    found = find_resource(asked)
    chosen = (found.name,) if found else DEFAULT_RESOURCES
    first = [found] if found and found not in COMMON_RESOURCES else []
    return [Choice(resource, resource.name in chosen) for resource in (*first, *COMMON_RESOURCES)]


def posted_choices(data: QueryDict) -> list[Choice]:
    """Return the common resources as they were sent, and the others that were chosen or sent with options."""
    watched = set(data.getlist("watch"))
    sent = [
        resource
        for resource in all_resources()
        if resource in COMMON_RESOURCES or resource.name in watched or field_name_in(resource.name, "json") in data
    ]
    return [_posted(data, resource, chosen=resource.name in watched) for resource in sent]


def further_choices(choices: Iterable[Choice]) -> dict[str, list[Resource]]:
    """Return the rest of the catalogue by ConnectWise's module: what is not among `choices`."""
    shown = {choice.resource.name for choice in choices}
    rest = {
        module: [resource for resource in resources if resource.name not in shown]
        for module, resources in further_by_module().items()
    }
    return {module: resources for module, resources in rest.items() if resources}


def _posted(data: QueryDict, resource: Resource, *, chosen: bool) -> Choice:
    """Return one resource as it was sent; without a form if it is not chosen, and all of it is as usual."""
    base = default_configuration(resource)
    form = posted_form(data, resource.name, base)
    form.about = resource.name
    usual = form.configuration == base and not form.wrong
    return Choice(resource, chosen, None if usual and not chosen else form)


def forms_of(choices: Iterable[Choice]) -> dict[str, PollForm]:
    """Return the forms of those that are chosen, by resource."""
    return {choice.resource.name: choice.form for choice in choices if choice.chosen and choice.form}


def chosen_polls(choices: Iterable[Choice]) -> dict[str, Any]:
    """Return the configurations of what was chosen; ConfigurationError where nothing was."""
    polls = {name: form.configuration for name, form in forms_of(choices).items()}
    if not polls:
        raise ConfigurationError({POLLS: "Choose at least one resource."})
    return polls
