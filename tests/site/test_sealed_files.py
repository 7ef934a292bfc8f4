"""Sealed files: given back byte for byte, and by nothing else than the passphrase; altered ones are found out."""

from __future__ import annotations

import random
from io import BytesIO

import pytest

from cwconnect.core import sealed_files
from cwconnect.core.sealed_files import UnsealError, WrongPassphraseError, seal, unseal

PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_files, "LOG_N", 4)
    monkeypatch.setattr(sealed_files, "PIECE", 64)


def sealed(content: bytes) -> bytes:
    target = BytesIO()
    seal(BytesIO(content), target, PASSPHRASE)
    return target.getvalue()


def opened(content: bytes, passphrase: str = PASSPHRASE) -> bytes:
    return b"".join(unseal(BytesIO(content), passphrase))


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 128, 1000])
def test_what_was_sealed_is_given_back(size: int) -> None:
    content = random.Random(size).randbytes(size)
    assert opened(sealed(content)) == content
    assert content not in sealed(content) or size < 2
    assert sealed(content) != sealed(content)


def test_another_passphrase_is_named_as_that() -> None:
    with pytest.raises(WrongPassphraseError, match="another passphrase"):
        opened(sealed(b"a secret"), "another horse")


def test_every_byte_counts() -> None:
    whole = sealed(bytes(200))
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 1
        if place == len(sealed_files.MAGIC):
            continue  # the cost of a guess: another one is another key, and may take long
        with pytest.raises(UnsealError):
            opened(bytes(altered))


def test_a_file_that_was_cut_or_stirred_is_found_out() -> None:
    whole, size, head = sealed(bytes(320)), 64 + 16, len(sealed_files.MAGIC) + 1 + 16 + 7 + 16
    pieces = [whole[start : start + size] for start in range(head, len(whole), size)]
    for others in (pieces[:-1], pieces[1:], [pieces[1], pieces[0], *pieces[2:]], [*pieces, pieces[-1]], []):
        with pytest.raises(UnsealError):
            opened(whole[:head] + b"".join(others))
    for length in range(len(whole)):
        with pytest.raises(UnsealError):
            opened(whole[:length])


@pytest.mark.parametrize("log_n", [0, 21, 255])
def test_a_guess_that_would_take_all_memory_is_not_made(log_n: int) -> None:
    start = len(sealed_files.MAGIC)
    with pytest.raises(UnsealError, match="no sealed file"):
        opened(sealed(b"")[:start] + bytes([log_n]) + sealed(b"")[start + 1 :])
