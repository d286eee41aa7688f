"""Wires sla_monitor: from lifecycle events and time to clocks and what is announced of them."""

from collections import defaultdict
from functools import partial

from services.sla_monitor import store
from services.sla_monitor.handler import LifecycleHandler, NextDue
from services.sla_monitor.metrics import Metrics
from services.sla_monitor.settings import Settings
from services.sla_monitor.sweeper import SERVICE, Sweeper, watch_open_clocks
from shared.events.topics import SLA
from shared.lifecycle import Resources, Service
from shared.stream.erasing import ErasingHandler, Erasure, erasing


def wire(resources: Resources) -> Service:
    settings, metrics = Settings(), Metrics(resources.registry)
    next_due: defaultdict[int, NextDue] = defaultdict(NextDue)

    def handler(partition: int) -> ErasingHandler:
        inner = LifecycleHandler(
            partition=partition, store=store, accords=resources.accords, next_due=next_due[partition], metrics=metrics
        )
        return erasing(inner, Erasure(SERVICE, "sla", forward=SLA))

    def ticker(partition: int) -> Sweeper:
        return Sweeper(
            partition=partition,
            line=resources.carrier,
            pool=resources.pool,
            accords=resources.accords,
            next_due=next_due[partition],
            metrics=metrics,
            settings=settings,
        )

    count_open = partial(watch_open_clocks, resources.pool, metrics, settings.open_clocks_interval_seconds)
    return Service(SERVICE, handler, ticker, background=(count_open,), at_once=True)
