"""Smooth weighted round robin: owners in proportion to their weights, none twice in a row without need."""

from collections.abc import Sequence
from math import gcd

from shared.agreement.rules import Owner


def turns(owners: Sequence[Owner]) -> tuple[str, ...]:
    """One period of turns. Each turn every owner gains its weight; the richest (first of equals) pays for all."""
    if not owners:
        return ()
    # A common divisor repeats the same period.
    divisor = gcd(*(owner.weight for owner in owners))
    weights = [owner.weight // divisor for owner in owners]
    total = sum(weights)
    balances = [0] * len(owners)
    period: list[str] = []
    for _ in range(total):
        balances = [balance + weight for balance, weight in zip(balances, weights, strict=True)]
        richest = max(range(len(owners)), key=lambda index: balances[index])
        balances[richest] -= total
        period.append(owners[richest].owner)
    return tuple(period)
