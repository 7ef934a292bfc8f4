"""The keys that the embedded default makes for itself, and keeps in the data folder for their owner alone."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from cwconnect.core.env.values import decoded, text


def key(name: str, file: Path, make: Callable[[], str], *, embedded: bool) -> str:
    """Return the key in the variable; else, in the embedded default only, the one kept in `file`, made at first use."""
    if value := text(name):
        return value
    if not embedded:
        raise ImproperlyConfigured(f"{name} must be set when CWCONNECT_DATABASE_URL is: all machines share one.")
    try:
        kept = decoded(_kept(file, make))
    except OSError as error:
        raise ImproperlyConfigured(f"CWCONNECT_DATA_DIR: {name} can't be kept in {file.parent}: {error}.") from error
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is kept in {file}, which holds {error}: put its copy back.") from None
    if not kept:
        raise ImproperlyConfigured(f"{name} is kept in {file}, which is empty: put its copy back.")
    return kept


def _kept(file: Path, make: Callable[[], str]) -> bytes:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not file.exists():
        # Written whole under another name, then linked: two processes that start together agree on one key,
        # and a crash half-way leaves no half key.
        draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(make())
        try:
            os.link(draft, file)
        except FileExistsError:
            pass  # the other process was first: its key is read below
        finally:
            draft.unlink()
    return file.read_bytes()


def replace_file(file: Path, content: str) -> None:
    """Put other content into a file that only its owner reads, whole or not at all."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)


def make_secret_key() -> str:
    """Make a Django secret key: 50 random bytes as text."""
    return secrets.token_urlsafe(50)


def make_encryption_key() -> str:
    """Make a Fernet key (cryptography's format: 32 random bytes, URL-safe base64)."""
    return Fernet.generate_key().decode()
