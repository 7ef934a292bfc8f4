"""What the error pages of CWCONNECT_DEBUG may show: where an error happened, and no value that could be a secret.

Django hides settings by their names alone, and shows every variable of every function on the way: keys just opened,
forms just sent. These pages are for one's own machine, but get copied into tickets.
"""

from __future__ import annotations

import re
from collections.abc import ItemsView
from types import FrameType
from typing import Any, ClassVar

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter

_NAMES = r"API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE|COOKIE|SESSION|URL|PROXY|LOCATION|REDIS|FORWARDED"


class ReporterFilter(SafeExceptionReporterFilter):
    """Django's filter, hiding more (setting DEFAULT_EXCEPTION_REPORTER_FILTER)."""

    hidden_settings: ClassVar[re.Pattern[str]] = re.compile(_NAMES, re.IGNORECASE)  # type: ignore[misc]  # as Django's

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        """Return the names of what was sent."""
        return {} if request is None else dict.fromkeys(request.POST, self.cleansed_substitute)

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> ItemsView[str, Any]:
        """Return no variable."""
        return dict[str, Any]().items()
