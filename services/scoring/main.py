"""Wires scoring."""

from functools import partial
from typing import Final

from services.scoring.handler import Desk, ScoringHandler
from services.scoring.metrics import Metrics
from services.scoring.store import PostgresStore, RescoreStore
from services.scoring.sweeper import Rescorer, Turns, Versions, watch_rescores
from shared.events.topics import SCORE
from shared.lifecycle import Resources, Service
from shared.stream.erasing import ErasingHandler, Erasure

LEFT_INTERVAL_SECONDS: Final = 5.0


class _Desks(dict[int, Desk]):
    """One for each partition, made when it is asked for."""

    def __missing__(self, partition: int) -> Desk:
        self[partition] = desk = Desk(partition)
        return desk


def wire(resources: Resources) -> Service:
    """The service `scoring`. Handler and sweeper of a partition share the states of its hot leads."""
    store, progress, metrics = PostgresStore(), RescoreStore(), Metrics(resources.registry)
    accords, pool = resources.accords, resources.pool
    versions, turns, desks = Versions(accords, pool), Turns(), _Desks()

    erasure = Erasure("scoring", "scoring", forward=SCORE, keeps_ids=True)

    def handler(partition: int) -> ErasingHandler:
        desk = desks[partition]
        inner = ScoringHandler(accords, store, progress, metrics=metrics, desk=desk)
        return ErasingHandler(inner, erasure, desk.hot.forget)

    def ticker(partition: int) -> Rescorer:
        return Rescorer(
            desk=desks[partition],
            turns=turns,
            clock=resources.clock,
            versions=versions,
            accords=accords,
            store=store,
            progress=progress,
            pool=pool,
            metrics=metrics,
        )

    watch = partial(watch_rescores, pool, progress, metrics, LEFT_INTERVAL_SECONDS)
    return Service("scoring", handler, ticker, background=(watch,), at_once=True)
