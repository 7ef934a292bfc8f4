"""Django's cache, of integers and text alone: who can write to Redis can't have code run by what reads from it.

Django's own backends pickle values, and unpickling obeys whoever wrote them. These write an integer as its digits, text
with a mark before it, and refuse the rest; what they read and have not written is as good as missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache

try:
    from redis.exceptions import RedisError
except ImportError:  # an extra, not installed: the cache is this process's memory, which is always there

    class RedisError(Exception):  # type: ignore[no-redef]  # stands for the missing one
        """Never raised."""


__all__ = ("PlainMemoryCache", "PlainRedisCache", "PlainSerializer", "RedisError")

Plain = int | str
_TEXT = b":"
_INTEGER = re.compile(rb"-?[0-9]{1,19}")  # what Redis counts with: 64 bits


def checked(value: object) -> Plain:
    """Return the value; TypeError unless it is an integer or text (bool is neither)."""
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise TypeError(f"The cache keeps integers and text, not {type(value).__name__}.")


class PlainSerializer:
    """How values stand in Redis."""

    def dumps(self, value: object) -> int | bytes:
        """Return what is written: integers as they are, for Redis counts with them. TypeError for other kinds."""
        plain = checked(value)
        return plain if isinstance(plain, int) else _TEXT + plain.encode()

    def loads(self, data: bytes) -> Plain | None:
        """Return what was written, None for what this has not written."""
        if _INTEGER.fullmatch(data):
            return int(data)
        try:
            return data[1:].decode() if data.startswith(_TEXT) else None
        except UnicodeDecodeError:
            return None


class PlainRedisCache(RedisCache):
    """Redis, shared by all web processes. Raises RedisError where that is away or holds something of another kind."""

    def __init__(self, server: Any, params: Mapping[str, Any]) -> None:
        super().__init__(server, {**params, "OPTIONS": {**params.get("OPTIONS", {}), "serializer": PlainSerializer}})

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return the value; the default for what is missing or was not written by this."""
        found = super().get(key, None, version)
        return default if found is None else found

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """Return the values that there are, without what was not written by this."""
        return {key: value for key, value in super().get_many(keys, version).items() if value is not None}


class PlainMemoryCache(LocMemCache):
    """This process's memory, as strict about values, so that what is kept here can be kept in Redis."""

    def add(self, key: Any, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Keep a value unless there is one."""
        return bool(super().add(key, checked(value), timeout, version))

    def set(self, key: Any, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Keep a value."""
        super().set(key, checked(value), timeout, version)
