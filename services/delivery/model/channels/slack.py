"""An incoming webhook of Slack: blocks, and `text` for notifications. Slack takes 50 blocks of 3,000 characters."""

from collections.abc import Sequence
from typing import Any, Final

from services.delivery.model.channels.words import Told, counted

LINES_MAX: Final = 20
_HEADER_MAX: Final = 150


def message(lines: Sequence[Told]) -> dict[str, Any]:
    """One message about all of these, the urgent ones first."""
    ordered = sorted(lines, key=lambda line: not line.is_urgent)
    title = lines[0].headline if len(lines) == 1 else counted(lines)
    blocks: list[dict[str, Any]] = []
    if len(lines) > 1:
        blocks.append({"type": "header", "text": {"type": "plain_text", "text": title[:_HEADER_MAX], "emoji": False}})
    blocks += [_section(line) for line in ordered[:LINES_MAX]]
    if len(lines) > LINES_MAX:
        left = {"type": "mrkdwn", "text": f"and {len(lines) - LINES_MAX} more"}
        blocks.append({"type": "context", "elements": [left]})
    return {"text": _escaped(title), "blocks": blocks}


def _section(line: Told) -> dict[str, Any]:
    mark = ":red_circle: " if line.is_urgent else ""
    facts = "\n".join(f"{name}: {_escaped(value)}" for name, value in line.facts)
    text = f"{mark}*<{_escaped(line.link)}|{_linked(line.headline)}>*" + (f"\n{facts}" if facts else "")
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _escaped(text: str) -> str:
    """Slack's three control characters: nothing that a lead typed into a form can link or mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _linked(text: str) -> str:
    """The label of a link ends at the first bar; a star would end the bold."""
    return _escaped(text).replace("|", "¦").replace("*", "∗")
