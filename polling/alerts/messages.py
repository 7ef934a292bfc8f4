"""What is said of warnings: as a mail, and as JSON in plain, Slack's and Microsoft Teams' form. Pure.

Texts hold what others wrote: names of instances, answers of receivers. So none of it can end a header, and none is read
as markup: Slack's three characters are escaped, and Teams gets texts in the one element that knows no Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

from cwconnect.core.layout import PROGRAM
from cwconnect.core.text import counted
from cwconnect.core.time import utc_text
from polling.models import Alert

MOST_IN_A_CHAT = 15  # of the warnings of one message; Slack takes 50 blocks, Teams 28 kB
LONGEST_IN_A_CHAT = 1000  # characters of each; Slack takes 3,000 in a block
_NOT_OF_DELIVERY = {Alert.Kind.REFUSED, Alert.Kind.ACCEPTED, Alert.Kind.KEY_EXPIRES, Alert.Kind.TOKEN_EXPIRES}
_OF_DELIVERY = (
    f"Nothing is lost: later events are kept. See the deliveries' pages, or run: {PROGRAM} release INSTANCE_ID"
)


@dataclass(frozen=True)
class Warned:
    """One warning as messages show it. `key` is the alert's id, by which a message that comes twice is known.

    `instance` names it, or a further subscription of it; `subscription_id` is that of the latter, else None.
    """

    key: int | None
    kind: str
    title: str
    organization: str
    instance: str
    instance_id: int | None
    text: str
    at: datetime
    subscription_id: int | None = None


def warned_of(alert: Alert) -> Warned:
    """Return what messages show of an alert, which was read with its organization, instance and subscription."""
    return Warned(
        key=alert.pk,
        kind=alert.kind,
        title=alert.get_kind_display(),
        organization=str(alert.organization),
        instance=str(alert.subscription or alert.instance or ""),
        instance_id=alert.instance_id,
        text=alert.text,
        at=alert.created_at,
        subscription_id=alert.subscription_id,
    )


def test_of(organization: str, destination: str, now: datetime) -> Warned:
    """Return what a destination is tried with."""
    text = f"This is a test. Warnings of {organization} arrive here, at “{destination}”."
    return Warned(None, "test", "A test", organization, "", None, text, now)


test_of.__test__ = False  # type: ignore[attr-defined]  # pytest takes functions of such names for its own


def subject_of(warnings: Sequence[Warned]) -> str:
    """Return the subject of a mail, one line: the warning's kind, or how many there are."""
    if len(warnings) > 1:
        return f"cwconnect: {len(warnings)} warnings"
    about = f": {warnings[0].instance}" if warnings[0].instance else ""
    # What stands in no header: line ends, other white space and controls.
    said = " ".join(f"cwconnect: {warnings[0].title}{about}".split())
    return "".join(character for character in said if character.isprintable())


def body_of(warnings: Sequence[Warned]) -> str:
    """Return the text of a mail: one paragraph a warning, and what to do."""
    paragraphs = [f"{utc_text(warned.at)}  {warned.organization}\n{warned.text}" for warned in warnings]
    of_delivery = {warned.kind for warned in warnings} - _NOT_OF_DELIVERY - {"test"}
    return "\n\n".join([*paragraphs, f"{_OF_DELIVERY if of_delivery else ''}\n{page_url()}".strip()]).rstrip() + "\n"


def page_url() -> str:
    """Return the address of the page of warnings; blank while nobody said what ours is."""
    return f"{settings.PUBLIC_URL}{reverse('alerts-page')}" if settings.PUBLIC_URL else ""


def plain_of(warnings: Sequence[Warned]) -> dict[str, Any]:
    """Return the body of a POST in plain form; `text` is what chat systems show."""
    return {
        "text": "\n".join(warned.text for warned in warnings),
        "alerts": [
            {
                "id": warned.key,
                "kind": warned.kind,
                "organization": warned.organization,
                "instanceId": warned.instance_id,
                "subscriptionId": warned.subscription_id,
                "text": warned.text,
                "createdDate": utc_text(warned.at),
            }
            for warned in warnings
        ],
    }


def slack_of(warnings: Sequence[Warned]) -> dict[str, Any]:
    """Return the body of a POST to a Slack incoming webhook, and to what takes the same (Mattermost, Rocket.Chat).

    `text` is what notifications show; `verbatim` keeps @names and channels in a text from becoming mentions. Sources:
    docs.slack.dev, "Sending messages using incoming webhooks", "Text object", "Formatting message text".
    """
    shown = [_slack_block(f"*{_escaped(_head(warned))}*\n{_escaped(_cut(warned.text))}") for warned in _first(warnings)]
    if rest := _rest(warnings):
        shown.append(_slack_block(rest))
    return {"text": _escaped(subject_of(warnings)), "blocks": shown}


def teams_of(warnings: Sequence[Warned]) -> dict[str, Any]:
    """Return the body of a POST to a workflow of Microsoft Teams ("When a Teams webhook request is received").

    An Adaptive Card: Workflows take no other. Sources: learn.microsoft.com, "Create incoming webhooks with Workflows";
    adaptivecards.io, where TextBlock reads Markdown and RichTextBlock does not.
    """
    body = [block for warned in _first(warnings) for block in (_run(_head(warned), bold=True), _run(_cut(warned.text)))]
    if rest := _rest(warnings):
        body.append(_run(rest))
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if page_url():
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open cwconnect", "url": page_url()}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _head(warned: Warned) -> str:
    return " · ".join(" ".join(part.split()) for part in (warned.title, warned.organization, warned.instance) if part)


def _first(warnings: Sequence[Warned]) -> Sequence[Warned]:
    return warnings[:MOST_IN_A_CHAT]


def _rest(warnings: Sequence[Warned]) -> str:
    """Say how many more there are than a chat is shown; blank where there are none."""
    more = len(warnings) - MOST_IN_A_CHAT
    return f"And {counted(more, 'more warning')}. {page_url()}".strip() if more > 0 else ""


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_IN_A_CHAT else f"{text[: LONGEST_IN_A_CHAT - 1]}…"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _slack_block(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _run(text: str, *, bold: bool = False) -> dict[str, Any]:
    weight = {"weight": "Bolder"} if bold else {}
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text} | weight]}
