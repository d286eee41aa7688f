"""Wires delivery: from events of the line to signed webhooks."""

import random
from functools import partial

from services.delivery import store
from services.delivery.handler import EventHandler, Nudge
from services.delivery.metrics import Metrics
from services.delivery.settings import Settings
from services.delivery.sweeper.posting import HttpPost, session
from services.delivery.sweeper.sender import Post, Sender, watch_pending
from services.delivery.sweeper.traced import TracedPost
from shared.lifecycle import Resources, Service


def wire(resources: Resources) -> Service:
    settings, metrics, nudge = Settings(), Metrics(resources.registry), Nudge()

    def handler(_partition: int) -> EventHandler:
        return EventHandler(store=store, subscriptions=store.SubscriptionBook(), nudge=nudge)

    async def send() -> None:
        async with session(settings) as client:
            post: Post = HttpPost(client, resources.clock)
            if resources.spans is not None:
                post = TracedPost(post, resources.spans)
            sender = Sender(
                pool=resources.pool,
                post=post,
                clock=resources.clock,
                roll=random.random,
                nudge=nudge,
                metrics=metrics,
                settings=settings,
            )
            await sender.run()

    count_pending = partial(watch_pending, resources.pool, metrics, settings.pending_interval_seconds)
    return Service("delivery", handler, background=(send, count_pending), at_once=True)
