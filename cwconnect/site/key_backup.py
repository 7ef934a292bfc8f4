"""The keys that the embedded default keeps in the data folder, beside a backup: `FILE.keys`, for its owner alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from cwconnect.core import env, sealed_files
from cwconnect.core.sealed_files import UnsealError
from instances.secrets.ciphertexts import (
    Place,
    SecretMisplacedError,
    SecretUnreadableError,
    is_unbound,
    open_unbound,
    unseal,
)

NAMES = {"encryption_keys": "CWCONNECT_ENCRYPTION_KEYS", "secret_key": "CWCONNECT_SECRET_KEY"}


class KeysError(Exception):
    """Keys that can't be copied or read; the message says why."""


def beside(file: Path) -> Path:
    """Return where the keys of the backup `file` are."""
    return file.with_name(f"{file.name}.keys")


def are_kept() -> bool:
    """Return whether the keys are those of the data folder, so that they can be copied."""
    return not any(env.text(variable) for variable in NAMES.values())


def copy(folder: Path, file: Path, *, passphrase: str = "") -> Path:
    """Write the data folder's keys beside a backup, sealed with a passphrase; give where.

    KeysError where keys come from the environment.
    """
    if given := [variable for variable in NAMES.values() if env.text(variable)]:
        raise KeysError(f"{' and '.join(given)} come from the environment: keep a copy of them apart from it.")
    keys = {name: (folder / name).read_text(encoding="utf-8").strip() for name in NAMES}
    content = json.dumps(keys)
    if passphrase:
        sealed = BytesIO()
        sealed_files.seal(BytesIO(content.encode()), sealed, passphrase)
        content = base64.b64encode(sealed.getvalue()).decode()
    env.replace_file(beside(file), content)
    return beside(file)


def read(file: Path, *, passphrase: str = "") -> Mapping[str, str]:
    """Read the keys beside a backup, sealed ones with the passphrase. KeysError."""
    try:
        content = beside(file).read_bytes()
        if not content.startswith(b"{"):
            sealed = BytesIO(base64.b64decode(content, validate=True))
            content = b"".join(sealed_files.unseal(sealed, passphrase))
        keys = json.loads(content)
        return {name: str(keys[name]) for name in NAMES}
    except UnsealError as error:
        raise KeysError(f"{beside(file)} does not open with CWCONNECT_BACKUP_PASSPHRASE: {error}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KeysError(f"{beside(file)} does not hold the keys of a backup: {error}.") from error


def put_back(keys: Mapping[str, str], folder: Path) -> None:
    """Make these the data folder's keys; encryption keys that are there already stay behind them, for reading."""
    file = folder / "encryption_keys"
    present = file.read_text(encoding="utf-8").strip().split(",") if file.exists() else []
    wanted = keys["encryption_keys"].split(",")
    env.replace_file(file, ",".join([*wanted, *(key for key in present if key and key not in wanted)]))
    env.replace_file(folder / "secret_key", keys["secret_key"])


def opens(keys: Sequence[str], stored: Mapping[Place, str]) -> bool:
    """Return whether these encryption keys open secrets as they are stored; altered ones don't count against them.

    Those of a backup that an earlier version took may be bound to no place.
    """
    try:
        for place, secret in stored.items():
            _open(secret, place, keys)
    except (SecretUnreadableError, ValueError):
        return False
    return True


def _open(secret: str, place: Place, keys: Sequence[str]) -> None:
    if is_unbound(secret):
        open_unbound(secret, keys)
        return
    with suppress(SecretMisplacedError):
        unseal(secret, place, keys)
