"""Tells people: what is due for one subscription is one message, at most one in a while, none in quiet hours."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import structlog
from pydantic_core import from_json, to_json

from services.delivery.metrics import Metrics
from services.delivery.model.attempts import Outcome, Try, judge
from services.delivery.model.channels import alerts, mail, slack, teams
from services.delivery.model.channels.words import told
from services.delivery.model.subscriptions import Format, Subscription
from services.delivery.settings import Settings
from services.delivery.store import claims, messages
from services.delivery.store.claims import Claimed
from services.delivery.store.records import Tried
from services.delivery.store.subscriptions import SubscriptionBook
from services.delivery.sweeper.posting import HttpPost
from services.delivery.sweeper.recorder import Recorder
from services.delivery.sweeper.signer import Message
from shared.clock import Clock
from shared.db.faults import DATABASE_ERRORS

log = structlog.get_logger()

LOOK_SECONDS: Final = 0.25
EVENTS_PER_MESSAGE: Final = 200
_JSON: Final = {"content-type": "application/json"}


class Mails(Protocol):
    async def send(self, mail: mail.Mail, recipients: Sequence[str], message_id: str) -> Try: ...


class Channels:
    """`run` looks until cancelled; `turn` is one look, with the messages it started ended."""

    def __init__(
        self,
        *,
        pool: Any,
        post: HttpPost,
        mails: Mails,
        clock: Clock,
        roll: Callable[[], float],
        metrics: Metrics,
        settings: Settings,
        book: SubscriptionBook,
        public_url: str,
    ) -> None:
        self._pool = pool
        self._post = post
        self._mails = mails
        self._clock = clock
        self._roll = roll
        self._metrics = metrics
        self._settings = settings
        self._book = book
        self._public_url = public_url
        self._busy: set[UUID] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._recorder = Recorder(
            pool=pool,
            clock=clock,
            metrics=metrics,
            others=lambda: self._book.all,
            on_recorded=lambda _: None,
            on_disabled=lambda: None,
        )

    async def run(self) -> None:
        """Until cancelled. The recorder runs beside it for what could not be written at once."""
        recording = asyncio.create_task(self._recorder.run())
        try:
            while True:
                try:
                    await self.look()
                except DATABASE_ERRORS as error:
                    log.warning("messages_not_made", kind=type(error).__name__)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            try:
                await self.drain()
            finally:
                recording.cancel()

    async def turn(self) -> int:
        """How many messages it made."""
        made = await self.look()
        await self.drain()
        return made

    async def drain(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._settings.timeout_seconds)

    async def look(self) -> int:
        """Starts a message for each subscription that has something due and may be told now."""
        now = self._clock.now()
        subscriptions = await self._book.refresh(self._pool)
        self._recorder.forget()
        started = 0
        for subscription in subscriptions:
            if not subscription.is_grouped or not subscription.is_active or subscription.subscription_id in self._busy:
                continue
            if subscription.quiet_hours is not None and subscription.quiet_hours.until(now) is not None:
                continue
            lease = self._lease(subscription)
            turn = (subscription.subscription_id, subscription.enabling)
            if not await messages.take_turn(self._pool, turn, now=now, lease=lease):
                continue
            due = await messages.claim(self._pool, turn[0], EVENTS_PER_MESSAGE, now=now, lease=lease)
            self._start(subscription, due)
            started += 1
        return started

    def _lease(self, subscription: Subscription) -> timedelta:
        seconds = subscription.timeout_seconds or self._settings.timeout_seconds
        return timedelta(seconds=seconds + self._settings.lease_margin_seconds)

    def _start(self, subscription: Subscription, claimed: Sequence[tuple[Claimed, bool]]) -> None:
        task = asyncio.create_task(self._tell(subscription, claimed))
        self._tasks.add(task)
        self._busy.add(subscription.subscription_id)

        def end(ended: asyncio.Task[None]) -> None:
            self._tasks.discard(ended)
            self._busy.discard(subscription.subscription_id)

        task.add_done_callback(end)

    async def _tell(self, subscription: Subscription, claimed: Sequence[tuple[Claimed, bool]]) -> None:
        """A try counts for what was due; what went along keeps its own time if the message can't be told."""
        due = [delivery for delivery, _ in claimed]
        try:
            tried = await self._send(subscription, due)
            now = self._clock.now()
            self._metrics.attempts_of[tried.outcome].inc(len(due))
            self._metrics.messages.labels(subscription.format).inc()
            is_told, roll = tried.outcome is Outcome.DELIVERED, self._roll()
            for delivery, is_due in claimed:
                if is_told or is_due:
                    verdict = judge(tried, attempts=delivery.attempts + 1, now=now, roll=roll)
                    self._recorder.add(subscription, Tried(delivery, tried, verdict, now))
            await self._recorder.flush()
            if not is_told:
                await claims.release(self._pool, [delivery for delivery, is_due in claimed if not is_due])
            pause = subscription.group_seconds if is_told else 0
            await messages.set_next(self._pool, subscription.subscription_id, now + timedelta(seconds=pause))
        except DATABASE_ERRORS as error:
            log.warning("message_not_recorded", kind=type(error).__name__)

    async def _send(self, subscription: Subscription, due: Sequence[Claimed]) -> Try:
        events = [from_json(delivery.body) for delivery in due if delivery.body]
        if subscription.format is Format.ALERTMANAGER:
            return await self._alert(subscription, due, events)
        lines = [told(event, self._public_url) for event in events]
        if not lines:  # older than the retention
            return Try(Outcome.EXPIRED, self._clock.now(), 0.0)
        if subscription.format is Format.EMAIL:
            try:
                to = mail.recipients(subscription.url)
            except ValueError:
                return Try(Outcome.INVALID_SUBSCRIPTION, self._clock.now(), 0.0)
            return await self._mails.send(mail.mail(lines, subscription.name), to, str(due[0].delivery_id))
        form = slack if subscription.format is Format.SLACK else teams
        message = Message(to_json(form.message(lines)), _JSON)
        return await self._post.send(subscription, message, now=self._clock.now())

    async def _alert(self, subscription: Subscription, due: Sequence[Claimed], events: Sequence[Any]) -> Try:
        breaches = await messages.breaches(self._pool, {delivery.lead_id for delivery in due})
        made = alerts.alerts(events, [from_json(body) for body in breaches], self._public_url)
        if not made:
            return Try(Outcome.DELIVERED, self._clock.now(), 0.0)
        message, address = Message(to_json(made), _JSON), alerts.address(subscription.url)
        return await self._post.send(subscription, message, now=self._clock.now(), url=address)
