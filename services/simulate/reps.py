"""What sales does about a qualified lead: attentive reps act at once, slow ones after the deadline or never."""

from random import Random
from typing import Any, Literal, NamedTuple

# Of all reps. Who is slow is decided lead by lead and not by owner: whose turn it is depends on who was quicker on the
# line, and the same seed should end the same way.
ATTENTIVE_SHARE = 0.65
REJECTIONS = ("not_ready", "no_budget", "no_answer", "wrong_person", "competitor")
CHANNELS = ("call", "email", "meeting")

Way = Literal["event", "api"]


class Reaction(NamedTuple):
    """A sales action, this many seconds after the news of the lead; posted as the CRM's event or by the API. The CRM
    tells it `told_late_seconds` after it happened."""

    after_seconds: float
    action: str
    data: dict[str, Any]
    way: Way
    told_late_seconds: float = 0.0


def react(seed: int, email: str) -> tuple[Reaction, ...]:
    """What becomes of one qualified lead, in order of time."""
    random = Random(f"{seed}/{email}")  # noqa: S311 - a simulation, no secret
    return _attentive(random) if random.random() < ATTENTIVE_SHARE else _slow(random)


def take_over(seed: int, email: str) -> tuple[Reaction, ...]:
    """What the next owner does about a lead that an escalation took from the last one: calls at once, as a rule."""
    random = Random(f"{seed}/{email}/taken over")  # noqa: S311 - a simulation, no secret
    return (_contact(random, random.uniform(0.8, 2.0)),) if random.random() < 0.8 else ()


def _attentive(random: Random) -> tuple[Reaction, ...]:
    contacted = _contact(random, random.uniform(0.6, 2.2))
    if random.random() < 0.2:
        reason = {"reason": random.choice(REJECTIONS)}
        return contacted, Reaction(random.uniform(2.6, 4), "rejected", reason, _way(random))
    work = [contacted, Reaction(random.uniform(2.4, 3.4), "accepted", {}, _way(random))]
    if random.random() < 0.7:
        work.append(Reaction(random.uniform(3.8, 5.0), "qualified", {}, "event"))
        deal = {"amount": float(random.randrange(4_000, 90_000, 500)), "currency": "USD"}
        if random.random() < 0.75:
            work.append(Reaction(random.uniform(5.6, 7.0), "opportunity.opened", deal, "event"))
            if random.random() < 0.5:
                work.append(Reaction(random.uniform(8.0, 9.0), "won", deal, "event"))
    return tuple(work)


def _slow(random: Random) -> tuple[Reaction, ...]:
    """Two in five never act at all; the others after every first-contact deadline of the demo's accord. One in five of
    these had called in time, and their CRM tells it only then: the breach is taken back."""
    if random.random() < 0.4:
        return ()
    contacted = _contact(random, random.uniform(10.8, 11.6))
    if random.random() < 0.2:
        return (contacted._replace(way="event", told_late_seconds=contacted.after_seconds - 2.0),)
    if random.random() < 0.5:
        return (contacted,)
    return contacted, Reaction(random.uniform(12.8, 13.6), "accepted", {}, "event")


def _contact(random: Random, after_seconds: float) -> Reaction:
    return Reaction(after_seconds, "contacted", {"channel": random.choice(CHANNELS)}, _way(random))


def _way(random: Random) -> Way:
    return "api" if random.random() < 0.3 else "event"
