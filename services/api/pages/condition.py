"""How a service, a subscription and a delivery are doing, in a word, a colour and a sentence. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

# As events go: along the line, and what reads from all of it last.
LINE: Final = ("ingest", "scoring", "stages", "sla-monitor", "delivery", "api")
# Below these, a service that has something to read is at work, not behind.
BEHIND_SECONDS: Final = 10.0
BEHIND_EVENTS: Final = 1_000


class Condition(NamedTuple):
    """`tone` is a class of the style sheet: good, soon, bad, or none."""

    word: str
    tone: str
    why: str = ""


def along_the_line(states: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """In the order in which events reach them."""
    places = {service: place for place, service in enumerate(LINE)}
    return sorted(states, key=lambda state: (places.get(state["service"], len(LINE)), state["service"]))


def of_service(state: Mapping[str, Any]) -> Condition:
    """The worst of what there is to say."""
    service = state["service"]
    if state["stopped"]:
        commands = "; ".join(f"accord resume {service} {one['partition']}" for one in state["stopped"])
        why = f"Too much in a row could not be applied. Repair the cause, then: {commands}"
        return Condition("stopped", "bad", why)
    if state["waiting"]:
        one = state["waiting"][0]
        number, lost = one["partition"], f"{one['emitter']} {one['first_missing']} to {one['last_missing']}"
        why = f"Partition {number} waits for {lost}. If they can't come any more: accord skip {service} {number}"
        return Condition("waiting", "bad", why)
    if state["owned"] < state["partitions"] or not (state["partitions"] or state["lanes"]):
        idle = state["partitions"] - state["owned"]
        why = f"Nobody runs {idle} of its partitions. Start: accord run {service}" if idle else "Nobody runs it."
        return Condition("not run", "bad", why)
    waited = state["oldest_unread_seconds"] or 0
    if waited > BEHIND_SECONDS or state["unread"] > BEHIND_EVENTS:
        return Condition("behind", "soon", f"More processes share the work: accord run {service}")
    return Condition("at work", "good")


def of_subscription(one: Mapping[str, Any]) -> Condition:
    """What its state means for who relies on it."""
    match one["state"]:
        case "disabled":
            return Condition("disabled", "bad", one["disabled_because"] or "Nothing is told any more.")
        case "unconfirmed":
            return Condition("unconfirmed", "soon", one["refusal"] or "The endpoint has not agreed yet.")
        case "paused":
            return Condition("paused", "soon", "What comes waits until it is resumed.")
        case _ if one["failing_since"]:
            return Condition("failing", "bad", "Every try since then has failed; it is tried again.")
    return Condition("active", "good")


def of_delivery(one: Mapping[str, Any]) -> Condition:
    """How far it came."""
    match one["state"]:
        case "delivered":
            return Condition("delivered", "good")
        case "dead":
            return Condition("given up", "bad", one["outcome"] or "")
    tries = len(one["attempts"])
    words = "one try so far" if tries == 1 else f"{tries} tries so far"
    return Condition("on its way", "soon" if tries else "", words if tries else "")
