"""How one resource is polled, as the wire writes it, and the plan it makes.

Source: docs/wire-contract.md#4-configuration-keys-of-events.

Values may be JSON types or strings (`"15"`, `"yes"`); blanks and nulls count as not given; a key that nobody knows is
an error, since a misspelt one would be a surprise at poll time. What was given is kept, without the defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any

from django.utils.timezone import get_default_timezone
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from cwconnect.connectwise.catalogue import default_configuration, find_resource
from cwconnect.connectwise.hub_url import HubUrl, HubUrlError
from cwconnect.connectwise.java_dates import compile_pattern, parse_zone
from cwconnect.connectwise.only_per_record import find_per_record
from cwconnect.core.unseen import BLANKS, find_unseen, trim
from instances.plans import OWN_STAMP, DateField, Plan

UPDATED_FORMAT = "yyyy-MM-dd'T'HH:mm:ss'Z'"
LARGEST_PAGE = 1000  # ConnectWise caps a larger pageSize silently
_MONTH = 31 * 86400


class PollConfigurationError(ValueError):
    """A resource's configuration that can't be used: what is wrong, by the path of the key within it."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{path}: {problem}" if path else problem for path, problem in problems.items()))
        self.problems = problems


def _checked_by(reader: Callable[[str], object]) -> AfterValidator:
    def check(text: str) -> str:
        reader(text)
        return text

    return AfterValidator(check)


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a whole number")
    return value


Name = Annotated[str, Field(max_length=200)]
Pattern = Annotated[str, Field(max_length=200), _checked_by(compile_pattern)]
Zone = Annotated[str, Field(max_length=100), _checked_by(parse_zone)]
Seconds = Annotated[int, BeforeValidator(_no_boolean), Field(ge=0, le=_MONTH)]


class _Wire(BaseModel):
    """Camel-case keys, strings stripped, blanks dropped, unknown keys refused."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_blanks(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if not is_blank(value)}


class DatesConfiguration(_Wire):
    """Where a record holds its dates, and how they are written."""

    updated_date_field: Name = OWN_STAMP
    updated_date_format: Pattern = UPDATED_FORMAT
    updated_date_timezone: Zone = "UTC"
    created_date_field: Name | None = None
    created_date_format: Pattern | None = None
    created_date_timezone: Zone | None = None
    created_check_tolerance: Seconds | None = None


class PollConfiguration(_Wire):
    """One resource's configuration; every key is optional, `url` only for the resources of the catalogue."""

    url: Annotated[str, Field(max_length=4000)] | None = None
    id_field: Name = "id"
    dates_configuration: DatesConfiguration = DatesConfiguration()
    filter_by_updated_date: bool = Field(
        default=True, validation_alias=AliasChoices("filterByUpdatedDate", "filterByUpdateDate")
    )
    filter_by_current_date: bool = False
    created_check_tolerance: Seconds | None = None
    page_size: Annotated[int, BeforeValidator(_no_boolean), Field(ge=1, le=100_000)] | None = None
    poll_delay: Seconds = 0
    detect_deletes: bool = False
    delete_sweep_minutes: Annotated[int, BeforeValidator(_no_boolean), Field(ge=1, le=525_600)] = 1440
    track_changes: bool = False
    ignore_empty_changes: bool = False
    enabled: bool = True


def is_blank(value: object) -> bool:
    """Return whether a value counts as not given: null, an empty string or only blanks."""
    return value is None or (isinstance(value, str) and not trim(value))


def read_poll(name: str, given: object) -> dict[str, Any]:
    """Return the configuration of resource `name` as it is to be kept: values of the right type, without defaults.

    Raises PollConfigurationError, also for what only shows when the plan is made (its URL, say).
    """
    if is_blank(given):
        given = {}
    if unseen := dict(_unseen_in(given)):
        raise PollConfigurationError(unseen)
    kept = _validated(given).model_dump(mode="json", by_alias=True, exclude_unset=True)
    plan_of(name, kept)
    return kept


def _unseen_in(given: object, path: str = "", depth: int = 2) -> Iterator[tuple[str, str]]:
    """Return what unseen characters keys and texts hold, by path. Not asked of what is stored, which has to go on."""
    if isinstance(given, Mapping) and depth:
        for key, value in given.items():
            place = f"{path}.{key}" if path else str(key)
            if unseen := find_unseen(str(key)):
                yield place, f"is no key of this configuration: it holds {unseen}"
            yield from _unseen_in(value, place, depth - 1)
    elif isinstance(given, str) and (unseen := find_unseen(trim(given), allowed=BLANKS)):
        yield path, f"holds {unseen}"


def plan_of(name: str, configuration: Mapping[str, Any]) -> Plan:
    """Compile the kept configuration of resource `name`; PollConfigurationError names what can't be used."""
    given = _validated(configuration)
    tolerance = given.created_check_tolerance
    if tolerance is None:
        tolerance = given.dates_configuration.created_check_tolerance or 0
    hub = _hub(name, given)
    plan = Plan(
        hub=hub,
        id_field=given.id_field,
        updated=_updated(given.dates_configuration),
        created=_created(given.dates_configuration),
        filter_by_updated=given.filter_by_updated_date,
        filter_by_current=given.filter_by_current_date,
        created_tolerance=timedelta(seconds=tolerance),
        page_size=min(given.page_size, LARGEST_PAGE) if given.page_size else None,
        poll_delay=timedelta(seconds=given.poll_delay),
        detect_deletes=given.detect_deletes,
        sweep_interval=timedelta(minutes=given.delete_sweep_minutes),
        track_changes=given.track_changes,
        ignore_empty_changes=given.ignore_empty_changes,
    )
    try:
        hub.check(needed_fields=plan.needed_fields)
    except HubUrlError as error:
        raise PollConfigurationError({"url": str(error)}) from error
    return plan


def _validated(given: object) -> PollConfiguration:
    try:
        return PollConfiguration.model_validate(given)
    except ValidationError as error:
        raise PollConfigurationError(
            {".".join(str(part) for part in item["loc"]): _sentence(item) for item in error.errors()}
        ) from None


def _sentence(item: Any) -> str:
    """Put pydantic's finding into the words of the contract."""
    words = {
        "extra_forbidden": "is no key of this configuration",
        "bool_parsing": "must be true, false, yes or no",
        "bool_type": "must be true, false, yes or no",
        "int_parsing": "must be a whole number",
        "int_from_float": "must be a whole number",
        "int_type": "must be a whole number",
        "string_type": "must be a text",
        "model_type": "must be an object",
    }
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])
    return words.get(item["type"]) or str(item["msg"])


def _hub(name: str, given: PollConfiguration) -> HubUrl:
    try:
        return HubUrl.parse(
            given.url or _default_url(name),
            resource_key=name,
            zone=get_default_timezone(),
            date_format=given.dates_configuration.updated_date_format,
        )
    except HubUrlError as error:
        raise PollConfigurationError({"url": str(error)}) from None


def _default_url(name: str) -> str:
    resource = find_resource(name)
    if resource is None:
        words = "is required, since the resource is not in the catalogue"
        beneath = find_per_record(name)
        raise PollConfigurationError({"url": f"{words}. {beneath.words}" if beneath else words})
    return str(default_configuration(resource)["url"])


def _updated(dates: DatesConfiguration) -> DateField:
    return DateField(
        dates.updated_date_field, compile_pattern(dates.updated_date_format), parse_zone(dates.updated_date_timezone)
    )


def _created(dates: DatesConfiguration) -> DateField | None:
    """Return the created field, where it is another than the updated one: one field can't show what is new."""
    if dates.created_date_field in (None, dates.updated_date_field):
        return None
    return DateField(
        dates.created_date_field,
        compile_pattern(dates.created_date_format or dates.updated_date_format),
        parse_zone(dates.created_date_timezone or dates.updated_date_timezone),
    )
