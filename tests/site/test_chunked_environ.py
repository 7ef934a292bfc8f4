"""What the application is given of a chunked body, whatever the route."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Any

import pytest

from cwconnect.core.chunked_bodies import ChunkedBodies


def given(body: bytes, **headers: str) -> tuple[str, bytes]:
    """Return the length and the bytes that the application behind is given."""
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: object) -> Iterable[bytes]:
        seen.update(environ)
        return []

    environ = {"wsgi.input": BytesIO(body), **headers}
    assert list(ChunkedBodies(application, longest=10)(environ, lambda *answer: None)) == []
    return seen.get("CONTENT_LENGTH", ""), seen["wsgi.input"].read()


@pytest.mark.parametrize("encoding", ["chunked", "Chunked", "gzip, chunked"])
def test_a_chunked_body_has_its_length(encoding: str) -> None:
    assert given(b'{"a":1}', HTTP_TRANSFER_ENCODING=encoding) == ("7", b'{"a":1}')


def test_one_that_is_too_long_is_one_byte_too_long_whatever_its_size() -> None:
    assert given(b"x" * 5000, HTTP_TRANSFER_ENCODING="chunked") == ("11", b"x" * 11)


def test_other_bodies_are_left_alone() -> None:
    assert given(b"x" * 50, CONTENT_LENGTH="50") == ("50", b"x" * 50)
    assert given(b"") == ("", b"")
