"""Wires sla_monitor: from lifecycle events and time to clocks, promises, and what is announced of them."""

from collections import defaultdict
from functools import partial

from services.sla_monitor.handler import LifecycleHandler, NextDue
from services.sla_monitor.metrics import Metrics
from services.sla_monitor.settings import Settings
from services.sla_monitor.store import clocks as store
from services.sla_monitor.store import promises
from services.sla_monitor.sweeper.clocks import SERVICE, Sweeper, watch_open_clocks
from services.sla_monitor.sweeper.in_turn import InTurn
from services.sla_monitor.sweeper.promises import PromiseSweeper
from shared.events.topics import SLA
from shared.lifecycle import Resources, Service
from shared.stream.erasing import ErasingHandler, Erasure, erasing


def wire(resources: Resources) -> Service:
    settings, metrics = Settings(), Metrics(resources.registry)
    next_due: defaultdict[int, NextDue] = defaultdict(NextDue)

    def handler(partition: int) -> ErasingHandler:
        inner = LifecycleHandler(
            partition=partition,
            store=store,
            promises=promises,
            accords=resources.accords,
            next_due=next_due[partition],
            metrics=metrics,
        )
        return erasing(inner, Erasure(SERVICE, "sla", forward=SLA))

    def ticker(partition: int) -> InTurn:
        clocks = Sweeper(
            partition=partition,
            line=resources.carrier,
            pool=resources.pool,
            accords=resources.accords,
            next_due=next_due[partition],
            metrics=metrics,
            settings=settings,
        )
        on_many_leads = PromiseSweeper(
            partition=partition,
            line=resources.carrier,
            pool=resources.pool,
            accords=resources.accords,
            metrics=metrics,
        )
        return InTurn(clocks, on_many_leads)

    count_open = partial(watch_open_clocks, resources.pool, metrics, settings.open_clocks_interval_seconds)
    return Service(SERVICE, handler, ticker, background=(count_open,), at_once=True)
