"""States of leads that were touched lately, kept in memory between the steps of one owner.

Only an owner writes its partition's states, so what its last commit wrote is what the next step would read. A state is
taken out when a step begins with it and put back after that step's commit: a step that fails, or whose end is unknown,
leaves nothing behind, and a new epoch starts empty.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar
from uuid import UUID

from shared.stream.carrier import Transaction

State = TypeVar("State")

LEADS_MAX = 5_000


class HotStates(Generic[State]):
    """Belongs to the handler of one partition; the leads longest untouched are dropped first."""

    def __init__(self, leads_max: int = LEADS_MAX) -> None:
        self._leads_max = leads_max
        # A dict would look for its first entry past all that were taken out before it: four times as long at the bound.
        self._states: OrderedDict[UUID, State] = OrderedDict()
        self._epoch = 0

    def take(self, transaction: Transaction, lead_ids: Iterable[UUID]) -> dict[UUID, State]:
        """The states at hand of these leads; the others must be read."""
        if transaction.epoch != self._epoch:
            self._states.clear()
            self._epoch = transaction.epoch
        found = {}
        for lead_id in lead_ids:
            state = self._states.pop(lead_id, None)
            if state is not None:
                found[lead_id] = state
        return found

    def forget(self, lead_ids: Iterable[UUID]) -> None:
        for lead_id in lead_ids:
            self._states.pop(lead_id, None)

    def keep(self, transaction: Transaction, states: Mapping[UUID, State]) -> None:
        """Once the transaction has committed, these are the states of their leads."""
        epoch = transaction.epoch

        def put_back() -> None:
            if epoch == self._epoch:
                self._states.update(states)
                while len(self._states) > self._leads_max:
                    self._states.popitem(last=False)

        transaction.on_commit(put_back)
