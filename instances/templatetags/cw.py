"""How the pages write times, durations, numbers, states and JSON; titles hold what the short form leaves out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cwconnect.core.layout import PROGRAM
from cwconnect.core.request_ids import current_request_id
from cwconnect.core.text import counted as in_numbers
from cwconnect.outbound.display import bare_url
from instances.browsers import browser_in_words

register = template.Library()
register.filter(bare_url)

_STEPS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
NOTHING = "–"
# What each state's word stands for: its colour, and a shape, since colour alone is no sign.
_TONES = {
    "well": (
        "well",
        "sent",
        "healthy",
        "on",
        "delivered",
        "complete",
        "notified",
        "reachable",
        "registered",
        "delivering",
    ),
    "wait": (
        "retrying",
        "rate limited",
        "pending",
        "open",
        "late",
        "complete as far as known",
        "waits",
        "waiting",
        "starting",
        "half used",
        "back",
        "silent",
        "callbacks silent",
        "muted",
        "expires soon",
        "catching up",
    ),
    "bad": (
        *(
            "unauthorized",
            "rejected",
            "held",
            "failed",
            "given up",
            "failing",
            "delivery paused",
            "delivery failing",
            "cut off",
            "down",
        ),
        *("incomplete", "refused", "expired", "lost"),
    ),
}
_SHOWN = {"held": "deletes held"}  # where the word alone says too little
# A notification's states as people call them (docs/glossary.md); stored and on the wire they keep their own values.
_DELIVERY_WORDS = {"pending": "waiting", "exhausted": "given up", "failed": "given up"}
_TONE_OF = {word: tone for tone, words in _TONES.items() for word in words}
_SHAPES = {"well": "●", "wait": "▲", "bad": "■", "off": "○"}


def in_words(seconds: float) -> str:
    """Write a length of time by its largest unit: `40 s`, `2 min`, `3 h`, `12 d`."""
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "0 s"


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """Write a time as `2 min ago` or `in 40 s`, with the exact local time and UTC in its title."""
    if not moment:  # templates give "" for what hangs on nothing
        return NOTHING
    seconds = (timezone.now() - moment).total_seconds()
    text = f"{in_words(seconds)} ago" if seconds >= 1 else f"in {in_words(-seconds)}" if seconds <= -1 else "now"
    return _time(moment, text, "ago")


@register.filter
def age(moment: datetime | None) -> SafeString | str:
    """Write how long ago a time is, `3 h`, with the exact local time and UTC in its title."""
    if not moment:  # templates give "" for what hangs on nothing
        return NOTHING
    return _time(moment, in_words((timezone.now() - moment).total_seconds()), "age")


@register.filter
def exactly(moment: datetime | None) -> SafeString | str:
    """Write a time of today as a clock shows it, any other with its day; UTC in the title."""
    if not moment:  # templates give "" for what hangs on nothing
        return NOTHING
    local, today = timezone.localtime(moment), timezone.localdate()
    form = "%H:%M:%S" if local.date() == today else "%d %b %Y, %H:%M:%S"
    return _time(moment, local.strftime(form))


def _time(moment: datetime, text: str, passing: str = "") -> SafeString:
    """Write a time; `passing` names the form of words that the page's script keeps true as time goes on."""
    local, utc = timezone.localtime(moment), moment.astimezone(UTC)
    title = f"{local:%a %d %b %Y, %H:%M:%S} {local:%Z} · {utc:%Y-%m-%d %H:%M:%S} UTC"
    kept = format_html('data-passing="{}" ', passing) if passing else ""
    form = '<time {}datetime="{}" title="{}">{}</time>'
    return format_html(form, kept, utc.isoformat(timespec="seconds"), title, text)


@register.filter
def duration(value: timedelta | float | str | None) -> str:
    """Write a duration: `12 ms`, `1.2 s`, then by its largest unit."""
    if value is None or isinstance(value, str):
        return NOTHING
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else in_words(seconds)


@register.filter
def number(value: float | str | None) -> str:
    """Write a whole number with its digits grouped."""
    return NOTHING if value is None or isinstance(value, str) else f"{value:,.0f}"


@register.filter
def percent(value: float) -> str:
    """Write a share given in percent by two digits that say something: `0.005 %`, `12 %`."""
    return f"{value:.2g} %"


@register.filter
def state(word: str) -> SafeString:
    """Write a state: its word with a shape and a colour."""
    tone = _TONE_OF.get(word.lower(), "off")
    shown = _SHOWN.get(word, word)
    return format_html(
        '<span class="state {}"><span aria-hidden="true">{}</span> {}</span>', tone, _SHAPES[tone], shown
    )


@register.filter
def shown_state(word: str) -> str:
    """Write a state's word alone, as `state` does."""
    return _SHOWN.get(word, word)


@register.filter
def delivery_state(word: str) -> SafeString:
    """Write a notification's stored state in the pages' words: delivered, waiting, given up (or discarded)."""
    return state(_DELIVERY_WORDS.get(word, word))


@register.simple_tag
def program() -> str:
    """Write the name of the program whose commands people are asked to type."""
    return PROGRAM


@register.filter
def pretty_json(text: str | None) -> str:
    """Indent JSON text; what is none stays as it is."""
    try:
        return json.dumps(json.loads(text or ""), indent=2, ensure_ascii=False)
    except ValueError:
        return text or ""


@register.filter
def is_long(text: str) -> bool:
    """Return whether a text deserves to be folded."""
    return len(text) > 1500 or text.count("\n") > 24


@register.filter
def as_json(value: Any) -> str:
    """Write one value as JSON, texts without quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@register.filter
def counted(value: int, words: str) -> str:
    """Write a count with its noun: `{{ 3|counted:"event,events" }}` is `3 events`."""
    one, _, many = words.partition(",")
    return in_numbers(value, one, many)


@register.filter
def took(begun: datetime, ended: datetime | None) -> str:
    """Write how long something took; so far, if it has not ended."""
    return duration(ended - begun) if ended else NOTHING


@register.filter
def words(text: str) -> list[str]:
    """Cut a text at its blanks."""
    return text.split()


@register.filter
def actor(who: str) -> str:
    """Name who did something as people do: a person's account by its name alone, anything else as it stands."""
    return who.removeprefix("account ")


@register.filter
def browser(user_agent: str) -> str:
    """Name a browser as people do."""
    return browser_in_words(user_agent)


@register.simple_tag
def request_id() -> str:
    """Return the id of the request that is being answered: its log lines have it, and so has the answer's header."""
    return current_request_id()
