"""Wires delivery: from events of the line to signed webhooks, and to messages for people."""

import asyncio
import random
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

from services.delivery.handler import EventHandler, Nudge
from services.delivery.metrics import Metrics
from services.delivery.model.handshakes import origin_of
from services.delivery.settings import Settings
from services.delivery.store import events
from services.delivery.store.subscriptions import SubscriptionBook
from services.delivery.sweeper.channels import Channels
from services.delivery.sweeper.handshakes import Handshakes
from services.delivery.sweeper.mailing import Mailer
from services.delivery.sweeper.posting import HttpPost, session
from services.delivery.sweeper.requests import Requests
from services.delivery.sweeper.sender import Post, Sender, watch_pending
from services.delivery.sweeper.signer import Signer
from services.delivery.sweeper.traced import TracedPost
from services.delivery.sweeper.trimming import trim_for_ever
from shared.lifecycle import Resources, Service
from shared.stream.erasing import ErasingHandler, Erasure, erasing


def wire(resources: Resources) -> Service:
    settings, metrics, nudge = Settings(), Metrics(resources.registry), Nudge()
    pool, clock = resources.pool, resources.clock
    sender_book = SubscriptionBook(resources.secret_box)

    def handler(_partition: int) -> ErasingHandler:
        inner = EventHandler(store=events, subscriptions=SubscriptionBook(), nudge=nudge)
        return erasing(inner, Erasure("delivery", "delivery"))

    async def send() -> None:
        origin = origin_of(resources.public_url)
        signer = Signer(origin)
        async with AsyncExitStack() as stack:
            http = HttpPost(await stack.enter_async_context(session(settings)), settings, signer)
            post: Post = http if resources.spans is None else TracedPost(http, resources.spans)
            sender = Sender(
                pool=pool,
                post=post,
                signer=signer,
                clock=clock,
                roll=random.random,
                nudge=nudge,
                metrics=metrics,
                settings=settings,
                book=sender_book,
            )
            handshakes = Handshakes(pool=pool, post=http, clock=clock, book=SubscriptionBook(), origin=origin)
            async with asyncio.TaskGroup() as group:
                for loop in (sender.run, _channels(resources, http, metrics, settings).run, handshakes.run):
                    group.create_task(loop())

    requests = Requests(pool=pool, clock=clock, nudge=nudge, metrics=metrics, book=SubscriptionBook())
    background = (
        send,
        requests.run,
        partial(watch_pending, pool, metrics, settings.pending_interval_seconds),
        partial(trim_for_ever, pool, clock, metrics, timedelta(days=settings.retention_days)),
    )
    return Service("delivery", handler, background=background, at_once=True)


def _channels(resources: Resources, http: HttpPost, metrics: Metrics, settings: Settings) -> Channels:
    return Channels(
        pool=resources.pool,
        post=http,
        mails=Mailer(settings, resources.clock),
        clock=resources.clock,
        roll=random.random,
        metrics=metrics,
        settings=settings,
        book=SubscriptionBook(),
        public_url=resources.public_url,
    )
