"""What Slack, Teams and Alertmanager take, as their documentation says: written apart from what renders it."""

import re
from datetime import datetime
from typing import Any

SLACK_BLOCKS_MAX, SLACK_TEXT_MAX, SLACK_HEADER_MAX = 50, 3000, 150
TEAMS_BYTES_MAX = 28 * 1024
CARD_ELEMENTS = {"TextBlock", "FactSet"}
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def check_slack(message: Any) -> None:
    """A message of an incoming webhook: https://api.slack.com/reference/block-kit/blocks."""
    assert set(message) <= {"text", "blocks"}
    assert message["text"]
    assert 1 <= len(message["blocks"]) <= SLACK_BLOCKS_MAX
    for block in message["blocks"]:
        match block["type"]:
            case "header":
                assert block["text"]["type"] == "plain_text"
                assert 1 <= len(block["text"]["text"]) <= SLACK_HEADER_MAX
            case "section":
                assert block["text"]["type"] == "mrkdwn"
                assert 1 <= len(block["text"]["text"]) <= SLACK_TEXT_MAX
                # The one link is ours; whatever else looked like a link or a mention is escaped.
                assert len(re.findall(r"<", block["text"]["text"])) == 1
                assert re.search(r"<https?://[^|<>]+\|[^<>]*>", block["text"]["text"])
            case "context":
                assert 1 <= len(block["elements"]) <= 10
            case other:
                raise AssertionError(other)


def check_teams(message: Any) -> None:
    """A message with one Adaptive Card 1.4: https://adaptivecards.io/explorer/."""
    assert message["type"] == "message"
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert card["body"]
    for element in card["body"]:
        assert element["type"] in CARD_ELEMENTS
        if element["type"] == "FactSet":
            assert all(set(fact) == {"title", "value"} for fact in element["facts"])
            assert element["facts"]
        else:
            assert element["text"]
            # Every bracket that is not our own link's is escaped.
            text = re.sub(r"\\.", "", element["text"])
            assert len(re.findall(r"\[", text)) <= 1
    for action in card["actions"]:
        assert action["type"] == "Action.OpenUrl"
        assert action["url"].startswith("http")


def check_alerts(alerts: Any) -> None:
    """`postableAlerts` of Alertmanager's API v2."""
    for alert in alerts:
        assert set(alert) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
        assert alert["labels"]["alertname"]
        for name, value in [*alert["labels"].items(), *alert["annotations"].items()]:
            assert LABEL.fullmatch(name)
            assert isinstance(value, str)
        assert datetime.fromisoformat(alert["startsAt"]) <= datetime.fromisoformat(alert["endsAt"])
