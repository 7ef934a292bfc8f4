"""What every route under `/v1` shares: whose instances are seen, strict reading of bodies and queries, plain answers.

Names are in snake_case, times in UTC; what nobody knows is refused, with its path. An Element token narrows everything
to its own instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import orjson
from django.db.models import QuerySet
from django.http import Http404, QueryDict
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from rest_framework.response import Response

from cwconnect.core import networks
from cwconnect.core.errors import DomainError
from cwconnect.core.unseen import find_unseen, find_unseen_in_name, trim
from instances.api.instances import ApiView
from instances.models import Instance

LARGEST_PAGE = 1000
# The groups that the OpenAPI description puts routes in.
POLLS, PULL, SUBSCRIPTIONS, DELIVERIES, SECRETS, SENDING = (
    "v1: polls",
    "v1: events",
    "v1: subscriptions",
    "v1: deliveries",
    "v1: secrets",
    "v1: sending",
)
_LARGEST_ID = 2**63 - 1


class Shape(BaseModel):
    """Something that `/v1` answers."""

    model_config = ConfigDict(frozen=True)


class Strict(BaseModel):
    """Something that `/v1` is asked: values have the right type, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Asked = TypeVar("Asked", bound=Strict)


def digits(value: object) -> object:
    """Return the whole number that a query's text is; ValueError for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        return int(value)
    raise ValueError("must be a whole number")


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character")
    return text


def seen(text: str) -> str:
    """Return a text that is all to be seen; ValueError that names the first character that is not."""
    if unseen := find_unseen(text):
        raise ValueError(f"holds {unseen}")
    return text


def _seen_name(text: str) -> str:
    text = trim(text)
    if unseen := find_unseen_in_name(text):
        raise ValueError(f"holds {unseen}")
    if not text:
        raise ValueError("is blank")
    return text


Number = Annotated[int, BeforeValidator(digits), Field(ge=0, le=_LARGEST_ID)]
Limit = Annotated[int, BeforeValidator(digits), Field(ge=1, le=LARGEST_PAGE)]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_no_nul)]
SeenText = Annotated[Text, AfterValidator(seen)]
Name = Annotated[Text, AfterValidator(_seen_name)]
InstanceId = Annotated[int, Field(ge=1, le=_LARGEST_ID)]
ScopeName = Literal["read", "write", "manage"]
Networks = Annotated[list[Annotated[str, Field(min_length=1, max_length=50)]], Field(max_length=networks.MOST)]
Cursor = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]


class V1View(ApiView):
    """A route under `/v1`."""

    def instances(self) -> QuerySet[Instance]:
        """Return the instances that the caller may see: the organization's, or the Element token's own."""
        found = super().instances()
        return found if self.caller.instance is None else found.filter(pk=self.caller.instance.pk)

    def ours(self, column: str = "instance") -> dict[str, Any]:
        """Return the filter that keeps rows to the caller's; `column` leads to their instance."""
        return super().ours(column) if self.caller.instance is None else {column: self.caller.instance}

    def asked_instance(self, number: int | None) -> dict[str, Any]:
        """Return the filter for the instance that a query names; 404 if the caller may not see it."""
        if number is None:
            return {}
        if not self.instances().filter(pk=number).exists():
            raise Http404
        return {"instance": number}

    def no_query(self) -> None:
        """Refuse any parameter."""
        read_query(_Nothing, self.request.query_params)


class _Nothing(Strict):
    """A query without parameters."""


def read_body(model: type[Asked], data: object) -> Asked:
    """Read a JSON body; DomainError that names every field at fault."""
    if not isinstance(data, dict):
        raise DomainError("The body must be a JSON object.")
    return _read(model, data)


def read_query(model: type[Asked], query: QueryDict) -> Asked:
    """Read a query; DomainError that names every parameter at fault, unknown and repeated ones too."""
    if twice := [name for name, values in query.lists() if len(values) > 1]:
        raise DomainError("; ".join(f"{name}: is given more than once" for name in twice) + ".")
    return _read(model, query.dict())


def _read(model: type[Asked], data: Mapping[str, Any]) -> Asked:
    try:
        # From JSON text, where strict reading takes a time for what it is.
        return model.model_validate_json(orjson.dumps(data))
    except orjson.JSONEncodeError:
        raise DomainError("The request holds a number that is too large, or text that is none.") from None
    except ValidationError as error:
        sentences = (_sentence(item) for item in error.errors(include_url=False))
        raise DomainError("; ".join(sentences) + ".") from None


def _sentence(item: Any) -> str:
    words = {"extra_forbidden": "is not known here", "missing": "is required"}
    text = str(item["ctx"]["error"]) if item["type"] == "value_error" else words.get(item["type"]) or item["msg"]
    path = ".".join(str(part) for part in item["loc"])
    return f"{path}: {text[:1].lower()}{text[1:]}"


def answer(shape: Shape, status: int = 200) -> Response:
    """Answer a shape."""
    return Response(shape.model_dump(mode="json"), status=status)
