"""The bars of a chart, drawn in Python: the tab *Delivery* has hundreds, and a template takes several times as long."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from django.utils.timezone import localtime

from cwconnect.core.text import counted
from polling.reports.hours import Bar, Chart

register = template.Library()


@register.simple_tag
def bars(chart: Chart, units: str, labels_at: int) -> SafeString:
    """Return the bars of a chart as SVG, each with its hour and its total as what a pointer shows.

    `units` are what is counted, of one and of many: `event,events`; `labels_at` is how far down the hours are written.
    """
    one, _, many = units.partition(",")
    classes = {kind: slugify(kind) for kind, _ in chart.kinds}
    drawn = "\n".join(_bar(each, counted(each.total, one, many), classes, labels_at) for each in chart.bars)
    return mark_safe(drawn)  # noqa: S308  (of numbers, hours, and words that stand in our code and templates)


def _bar(bar: Bar, total: str, classes: dict[str, str], labels_at: int) -> str:
    hour = f"{localtime(bar.start):%H:%M}"
    parts = "".join(
        f'<rect class="{classes[part.kind]}" x="{bar.x}" y="{part.y}" width="20" height="{part.height}"/>'
        for part in bar.segments
    )
    label = f'<text x="{bar.x}" y="{labels_at}">{hour}</text>' if bar.labelled else ""
    return (
        f'<g><title>{hour}: {total}</title><rect x="{bar.x}" y="12" width="20" height="120" fill="none" '
        f'pointer-events="all"/>{parts}{label}</g>'
    )
