"""What ConnectWise answers when it refuses, word for word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cwconnect.sandbox.jsontext import dumps
from cwconnect.sandbox.values import Problem

JSON_TYPE = "application/json; charset=utf-8"
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Response:
    """One answer. `cut` sends only so many bytes of the body and hangs up; `drop` hangs up without a byte."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    content_type: str = JSON_TYPE
    cut: int | None = None
    drop: bool = False


class Refused(Exception):  # noqa: N818 - named for what happened, as an answer and not as a fault of ours
    """Ends the handling of a request with the response it carries."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status, response.body)
        self.response = response


class DataFileError(Exception):
    """The file of `--data` can't be used, or can't be written to; says which and why."""


class UnknownCompanyError(LookupError):
    """A company was named that the host does not serve."""


class UnknownListError(LookupError):
    """A control call named a list that the sandbox does not have."""


def answer(value: object, status: int = 200, headers: Headers = ()) -> Response:
    """Return `value` as a JSON response."""
    return Response(status, dumps(value), headers)


def refusal(status: int, code: str, message: str, **more: object) -> Refused:
    """Return ConnectWise's usual error body."""
    return Refused(answer({"code": code, "message": message, **more}, status))


def bad_condition(message: str) -> Refused:
    """400: the conditions (or the order) can't be understood."""
    return refusal(400, "ApiFindCondition", message)


def unknown_name(name: str) -> Refused:
    """400: conditions name a field that the list does not have."""
    return bad_condition(f"{name} is not a recognized name.")


def no_endpoint() -> Refused:
    """404: no such path."""
    return refusal(404, "ConnectWiseApi", "The endpoint does not exist.")


def cannot_route() -> Refused:
    """400, in plain text: the company or the codebase is not served here."""
    return Refused(Response(400, b"Cannot route. Codebase/company is invalid", content_type="text/plain"))


def unauthorized() -> Refused:
    """401: the login is wrong or missing."""
    return refusal(401, "Unauthorized", "Incorrect public/private key")


def forbidden() -> Refused:
    """403: the security role does not reach this list."""
    return refusal(403, "Security", "You do not have security permission to perform this action.")


def invalid_fields(resource: str, problems: Iterable[Problem]) -> Refused:
    """400: some fields of a record can't be taken, or are missing."""
    errors = [
        {"code": problem.code, "message": problem.message, "resource": resource, "field": problem.field}
        for problem in problems
    ]
    return refusal(400, "InvalidObject", f"{resource} object is invalid", errors=errors)


def invalid_object(resource: str, message: str, *, field: str = "", code: str = "InvalidField") -> Refused:
    """400: a body that is not a record or not a JSON Patch, or a `field` of it that can't be taken."""
    return invalid_fields(resource, [Problem(code, message, field)])
