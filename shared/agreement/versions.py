"""Which version of the accord applies to an event (ACCORD.md "Versions, signatures, effect")."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime

from shared.agreement.compiled import CompiledAccord


class Accords:
    """The signed versions in their order of effect; immutable. The first also applies to every instant before it."""

    def __init__(self, versions: Iterable[tuple[datetime, CompiledAccord]]) -> None:
        ordered = sorted(versions, key=lambda entry: (entry[0], entry[1].version))
        self._starts = [effective_at for effective_at, _ in ordered]
        self._accords = [accord for _, accord in ordered]
        self._rank = {accord.version: rank for rank, accord in enumerate(self._accords)}

    def __len__(self) -> int:
        return len(self._accords)

    def at(self, received_at: datetime, at_least: int | None = None) -> CompiledAccord:
        """The latest version in effect at this instant, but never older than `at_least`. LookupError without any."""
        accords = self._accords
        if len(accords) == 1 and (at_least is None or at_least in self._rank):
            return accords[0]
        rank = max(bisect_right(self._starts, received_at) - 1, 0)
        if at_least is not None:
            rank = max(rank, self._rank[at_least])
        return accords[rank]

    def since(self, version: int, through: int) -> Sequence[CompiledAccord]:
        """The versions after the first of these, in their order of effect, up to and with the second; none if that is
        no later."""
        return self._accords[self._rank[version] + 1 : self._rank[through] + 1]

    def before(self, version: int) -> Sequence[int]:
        """The numbers of the versions that came into effect before this."""
        return [accord.version for accord in self._accords[: self._rank[version]]]

    def following(self, version: int) -> CompiledAccord | None:
        """The one that comes into effect after this; None for the last."""
        rank = self._rank[version] + 1
        return self._accords[rank] if rank < len(self._accords) else None

    def reached(self, at: datetime, version: int | None) -> CompiledAccord:
        """The version in effect at this instant, but none that a lead which carries `version` was not yet rescored
        under. None: the lead carries none."""
        accord = self.at(at)
        return accord if version is None or not self.since(version, accord.version) else self.version(version)

    def version(self, number: int) -> CompiledAccord:
        """This version; KeyError for one that was never signed (or isn't read yet)."""
        return self._accords[self._rank[number]]

    def effective_at(self, number: int) -> datetime:
        """When this version came, or comes, into effect."""
        return self._starts[self._rank[number]]

    @property
    def newest(self) -> CompiledAccord:
        """The last in the order of effect, which may still lie ahead."""
        return self._accords[-1]

    @property
    def all(self) -> tuple[CompiledAccord, ...]:
        """Every signed version in its order of effect."""
        return tuple(self._accords)
