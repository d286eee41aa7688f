"""All that a lead did, and what each version granted for it: read only when a state isn't enough."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from services.scoring.model.rules import instant
from services.scoring.model.state import Done, Earned, Grant, Granted, Older
from shared.events.activity import Activity


def done_of(event_id: UUID, activity: Activity, received_at: datetime) -> Done:
    """The activity, counted when it occurred, or when it was received if it says that it comes from the future."""
    received = instant(received_at)
    return Done(event_id, activity.type, min(instant(activity.occurred_at), received), received, activity.data)


class Past:
    """One lead's activities in the order of its history, and its grants by version."""

    def __init__(self, done: Iterable[Done] = (), grants: dict[int, list[Granted]] | None = None) -> None:
        self.done = list(done)
        self._grants = {} if grants is None else grants

    def under(self, accord: int, before: int | None = None) -> Older:
        """What this version saw of it: everything, or what was received before."""
        done = self.done if before is None else [one for one in self.done if one.received < before]
        return Older(self._grants.get(accord, ()), done)

    def remember(self, done: Done) -> None:
        """Adds an activity that was applied; its grants follow."""
        self.done.append(done)

    def add(self, earned: Iterable[Earned]) -> None:
        """Adds what activities were granted."""
        for done, accord, grants in earned:
            self._grants.setdefault(accord, []).extend(points_of(done, grants))


def points_of(done: Done, grants: Iterable[Grant]) -> Iterable[Granted]:
    """What of an activity's grants later ones ask for."""
    return [(grant["rule"], done.t, grant["points"]) for grant in grants if grant["points"]]
