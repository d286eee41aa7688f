"""Alerts for Alertmanager's API v2: one begins with a breach and ends when the promise is met, resolved, or taken back.
A promise on many leads may also be broken by a correction, and is kept again in that period or a later one.

An alert is its labels, so those of its end are those of its beginning: the breach's own, not the later event's."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from services.delivery.model.channels.words import Told, clean, told
from services.delivery.model.subscriptions import ALERTS, CORRECTED

PATH: Final = "/api/v2/alerts"
# Without an end Alertmanager resolves what is not sent again within minutes.
FIRES_FOR: Final = timedelta(days=30)
_LABELS: Final = ("rule", "promise", "of", "owner", "team", "clock_id", "lead_id")


def alerts(
    events: Iterable[Mapping[str, Any]], breaches: Iterable[Mapping[str, Any]], public_url: str
) -> list[dict[str, Any]]:
    """The alerts that these events begin or end, the last word on each; `breaches` began those that may end."""
    begun = {_subject(breach): breach for breach in breaches if _begins(breach)}
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        subject = _subject(event)
        if _begins(event):
            begun[subject] = event
            found[subject] = _alert(event, None, public_url)
        elif subject in begun and _ends(event, begun[subject]):
            found[subject] = _alert(begun[subject], event, public_url)
    return list(found.values())


def address(url: str) -> str:
    """Where alerts are posted, whether the subscription names Alertmanager or its path."""
    return url if url.rstrip("/").endswith(PATH) else url.rstrip("/") + PATH


def _subject(event: Mapping[str, Any]) -> str:
    data = event["data"]
    return str(data.get("clock_id") or data.get("promise"))


def _begins(event: Mapping[str, Any]) -> bool:
    """A correction does when it breaks what was kept: what stayed broken was told, and may have ended since."""
    data = event["data"]
    is_broken = data.get("state") == "breached" and data.get("former_state") != "breached"
    return event["type"] in ALERTS or (event["type"] == CORRECTED and is_broken)


def _ends(event: Mapping[str, Any], breach: Mapping[str, Any]) -> bool:
    """That an earlier period was kept after all says nothing about a later one that is broken."""
    data, since = event["data"], breach["data"].get("since")
    if since is None:  # a clock
        return True
    is_earlier = datetime.fromisoformat(str(data["since"])) < datetime.fromisoformat(str(since))
    return data.get("state") != "breached" and not is_earlier


def _alert(breach: Mapping[str, Any], end: Mapping[str, Any] | None, public_url: str) -> dict[str, Any]:
    data, line = breach["data"], told(breach, public_url)
    since = datetime.fromisoformat(str(data.get("deadline") or breach["time"]))
    over = since + FIRES_FOR if end is None else max(datetime.fromisoformat(str(end["time"])), since)
    labels = {name: clean(data[name]) for name in _LABELS if data.get(name)}
    return {
        "labels": {"alertname": _name(breach), "severity": "warning", **labels},
        "annotations": _annotations(line, end),
        "startsAt": since.isoformat(),
        "endsAt": over.isoformat(),
        "generatorURL": line.link,
    }


def _name(breach: Mapping[str, Any]) -> str:
    return "AccordClockBreached" if breach["type"] == ALERTS[0] else "AccordPromiseBreached"


def _annotations(line: Told, end: Mapping[str, Any] | None) -> dict[str, str]:
    said = {"summary": line.headline, "description": "; ".join(f"{name}: {value}" for name, value in line.facts)}
    return said if end is None else {**said, "ended_by": str(end["type"])}
