"""The routes under `/v1`, whose views describe themselves (`described`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cwconnect.core.openapi import Operation
from polling.api.v1.urls import urlpatterns

_GROUP = re.compile(r"\(\?P<(\w+)>[^)]*\)")


def _described() -> Iterator[tuple[str, Operation]]:
    for route in urlpatterns:
        pattern: Any = route
        path = _GROUP.sub(r"{\1}", str(pattern.pattern).strip("^$")).replace("{number}", "{instance}")
        view = pattern.callback.view_class
        for method in view.http_method_names:
            operation = getattr(getattr(view, method, None), "operation", None)
            if operation is not None:
                yield f"{method.upper()} /v1/{path}", operation


MODERN: Mapping[str, Operation] = dict(_described())
