"""Dates as the users of Cloud Elements write them: SimpleDateFormat patterns, zones and `${…}` templates.

The one way to the modules beside it: import from here.
"""

from cwconnect.connectwise.iso8601 import looks_iso, read_iso
from cwconnect.connectwise.java_dates.patterns import (
    MILLISECONDS,
    DatePattern,
    PatternError,
    compile_pattern,
)
from cwconnect.connectwise.java_dates.templates import DEFAULT_PATTERN, Template, render_templates, split_templates
from cwconnect.connectwise.java_dates.zones import ZoneError, parse_zone

__all__ = [
    "DEFAULT_PATTERN",
    "MILLISECONDS",
    "DatePattern",
    "PatternError",
    "Template",
    "ZoneError",
    "compile_pattern",
    "looks_iso",
    "parse_zone",
    "read_iso",
    "render_templates",
    "split_templates",
]
