"""A webhook of Microsoft Teams (Workflows): one message with an Adaptive Card. Teams takes 28 kB."""

import re
from collections.abc import Sequence
from typing import Any, Final

from services.delivery.model.channels.words import Told, counted

LINES_MAX: Final = 15
CARD: Final = "application/vnd.microsoft.card.adaptive"
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]()#+!|<>~-])")


def message(lines: Sequence[Told]) -> dict[str, Any]:
    """One card about all of these, the urgent ones first."""
    ordered = sorted(lines, key=lambda line: not line.is_urgent)
    body: list[dict[str, Any]] = []
    if len(lines) > 1:
        body.append({"type": "TextBlock", "text": counted(lines), "weight": "Bolder", "size": "Large", "wrap": True})
    for line in ordered[:LINES_MAX]:
        body += _parts(line)
    if len(lines) > LINES_MAX:
        body.append({"type": "TextBlock", "text": f"and {len(lines) - LINES_MAX} more", "isSubtle": True})
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": "Open in Accord", "url": ordered[0].link}],
    }
    return {"type": "message", "attachments": [{"contentType": CARD, "contentUrl": None, "content": card}]}


def _parts(line: Told) -> list[dict[str, Any]]:
    text = f"[{_plain(line.headline)}]({line.link})"
    headline = {
        "type": "TextBlock",
        "text": text,
        "weight": "Bolder",
        "wrap": True,
        "separator": True,
        "color": "Attention" if line.is_urgent else "Default",
    }
    if not line.facts:
        return [headline]
    facts = [{"title": name, "value": _plain(value)} for name, value in line.facts]
    return [headline, {"type": "FactSet", "facts": facts}]


def _plain(text: str) -> str:
    """Teams reads Markdown: nothing that a lead typed into a form makes a link."""
    return _MARKDOWN.sub(r"\\\1", text)
