"""Rubbish into every reader, by hypothesis: good samples broken in places, and bytes of any sort."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.long.fuzz.targets import SEEDS, TARGETS

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))


@st.composite
def broken(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """A sample with pieces of it cut out, doubled, or replaced by what tends to break readers."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 12)))
        data = (
            data[:start]
            + draw(st.sampled_from(ODD) | st.binary(max_size=6) | st.just(data[start:end] * 2))
            + data[end:]
        )
    return data


ODD = (
    *(b"", b"\x00", b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"1e400", b"-1e400", b"NaN", b"Infinity", b"-0"),
    *(
        b"9" * 25,
        b"9" * 5000,
        b"[" * 1200,
        b'{"a":' * 1200,
        b"(" * 60,
        b"'",
        b'"',
        b"`",
        b"${",
        b"}",
        b"%",
        b"%00",
        b"%ff",
    ),
    *(b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xd9\xa3", b"\xc2\xb2", b"\r\n", b"\n\n", b":", b";", b",", b"true", b"null"),
    *(
        b"10000-01-01",
        b"0000-00-00",
        b"9999-12-31T23:59:59-14:00",
        b"0001-01-01T00:00:00+14:00",
        b"+99:99",
        b"\xf0\x9f\x92\xa3",
    ),
)


@pytest.mark.parametrize("name", TARGETS)
def test_rubbish_is_refused_by_the_errors_that_a_reader_documents_and_by_no_other(name: str) -> None:
    @settings(max_examples=EXAMPLES)
    @given(broken(SEEDS[name]) | st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
    def feed(data: bytes) -> None:
        TARGETS[name](data)

    feed()


def test_every_target_has_seeds() -> None:
    assert set(SEEDS) == set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_themselves_pass(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)
