"""Files sealed under a passphrase, read and written in pieces, so that one of any size takes a few megabytes of memory.

The passphrase becomes a key by scrypt; each piece of a megabyte is sealed by AES-256-GCM under a nonce that holds its
number, and whether it is the last: one that was altered, moved, left out or cut off opens no more. That is the STREAM
construction (https://eprint.iacr.org/2015/189), as age and Tink have it.

    "cwconnect sealed 1\\n" · log2 of scrypt's n (1) · salt (16) · prefix (7) · proof of the key (16) · pieces
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

MAGIC = b"cwconnect sealed 1\n"
PIECE = 1024 * 1024
LOG_N = 17  # of scrypt: 128 MB and half a second for each guess (OWASP's first choice)
_LARGEST_LOG_N = 20
_SALT, _PREFIX, _TAG = 16, 7, 16
_ONLY_PROOF, _MORE, _LAST = b"\x02", b"\x00", b"\x01"


class UnsealError(Exception):
    """A sealed file that can't be read; the message says why."""


class WrongPassphraseError(UnsealError):
    """Another passphrase than the file was sealed with."""


def is_sealed(file: Path) -> bool:
    """Return whether a file begins as sealed ones do."""
    with file.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def seal(source: BinaryIO, target: BinaryIO, passphrase: str) -> None:
    """Write what `source` holds into `target`, sealed."""
    header = MAGIC + bytes([LOG_N]) + os.urandom(_SALT + _PREFIX)
    key = _key(header, passphrase)
    target.write(header + key.encrypt(_nonce(header, 0, _ONLY_PROOF), b"", header))
    target.writelines(
        key.encrypt(_nonce(header, number, _LAST if last else _MORE), piece, header)
        for number, piece, last in _pieces(source, PIECE)
    )


def unseal(source: BinaryIO, passphrase: str) -> Iterator[bytes]:
    """Return what was sealed, piece by piece, each proven. UnsealError, at a later piece maybe: then use none."""
    length = len(MAGIC) + 1 + _SALT + _PREFIX
    header, proof = source.read(length), source.read(_TAG)
    if len(proof) < _TAG or not header.startswith(MAGIC) or header[len(MAGIC)] > _LARGEST_LOG_N:
        raise UnsealError("It is no sealed file, or its beginning is damaged.")
    key = _key(header, passphrase)
    try:
        key.decrypt(_nonce(header, 0, _ONLY_PROOF), proof, header)
    except InvalidTag:
        raise WrongPassphraseError("It was sealed with another passphrase, or its beginning is damaged.") from None
    for number, piece, last in _pieces(source, PIECE + _TAG):
        try:
            yield key.decrypt(_nonce(header, number, _LAST if last else _MORE), piece, header)
        except InvalidTag:
            raise UnsealError(f"It is damaged or cut off, at {number * PIECE / 1e6:,.0f} MB.") from None


def _key(header: bytes, passphrase: str) -> AESGCM:
    start = len(MAGIC)
    salt, log_n = header[start + 1 : start + 1 + _SALT], header[start]
    if not log_n:
        raise UnsealError("It is no sealed file, or its beginning is damaged.")
    return AESGCM(Scrypt(salt=salt, length=32, n=2**log_n, r=8, p=1).derive(passphrase.encode()))


def _nonce(header: bytes, number: int, kind: bytes) -> bytes:
    return header[-_PREFIX:] + number.to_bytes(4, "big") + kind


def _pieces(source: BinaryIO, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Return number, content, and whether it is the last; one empty piece of nothing."""
    number, piece = 0, source.read(size)
    while following := source.read(size):
        yield number, piece, False
        number, piece = number + 1, following
    yield number, piece, True
