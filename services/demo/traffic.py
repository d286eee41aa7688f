"""Posts the season in order, and lets the reps react to the webhooks that reach them."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import groupby
from typing import Any, NamedTuple

from services.demo.board import Board, Qualified
from services.demo.client import AccordClient, Hook
from services.demo.settings import SALES_SOURCE
from services.simulate import Post, Reaction, Season, react, take_over
from shared.clock import Clock


class Told(NamedTuple):
    """A lead, as the rep who is to act on it has heard of it."""

    lead_id: str
    email: str | None
    owner: str | None


class Traffic:
    """Marketing's tools and sales' people. Each keeps its own key; what has a source goes to that one's address."""

    def __init__(
        self,
        *,
        marketing: AccordClient,
        sales: AccordClient,
        hooks: Mapping[str, Hook],
        board: Board,
        clock: Clock,
        seed: int,
    ) -> None:
        self._marketing = marketing
        self._sales = sales
        self._hooks = hooks
        self._board = board
        self._clock = clock
        self._seed = seed
        self._at_work: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    @property
    def is_at_rest(self) -> bool:
        """Whether no rep has anything left to do."""
        return not self._at_work

    def check(self) -> None:
        """Raises what went wrong while a rep was acting."""
        if self._failure is not None:
            raise self._failure

    async def play(self, season: Season) -> None:
        """One post after the other, each at its time: people's deeds arrive in order."""
        now = asyncio.get_running_loop().time
        started_at = now()
        for post in season.posts:
            await asyncio.sleep(max(0.0, started_at + post.at_seconds - now()))
            for source, part in _by_source(post):
                await self._post(self._marketing, part, self._hooks.get(source or ""))

    def hear(self, qualified: Qualified) -> None:
        """A lead reaches its rep."""
        told = Told(qualified.lead_id, qualified.email, qualified.owner)
        self._begin(told, react(self._seed, qualified.email or qualified.lead_id))

    def hear_taken_over(self, lead_id: str, email: str | None, owner: str | None) -> None:
        """A lead that somebody else had reaches the rep who has it now."""
        self._begin(Told(lead_id, email, owner), take_over(self._seed, email or lead_id))

    async def stop(self) -> None:
        """Everybody goes home."""
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)

    def _begin(self, told: Told, reactions: tuple[Reaction, ...]) -> None:
        if reactions:
            task = asyncio.create_task(self._work(told, reactions))
            self._at_work.add(task)
            task.add_done_callback(self._done)

    async def _work(self, told: Told, reactions: tuple[Reaction, ...]) -> None:
        now = asyncio.get_running_loop().time
        heard_at = now()
        for number, reaction in enumerate(reactions):
            await asyncio.sleep(max(0.0, heard_at + reaction.after_seconds - now()))
            if reaction.way == "api" or told.email is None:
                await self._sales.act(told.lead_id, {"action": reaction.action, **reaction.data})
            else:
                post = Post(0.0, "plain", (self._crm_event(told, reaction, number),))
                await self._post(self._sales, post, self._hooks[SALES_SOURCE])

    def _crm_event(self, told: Told, reaction: Reaction, number: int) -> dict[str, Any]:
        happened_at = self._clock.now() - timedelta(seconds=reaction.told_late_seconds)
        return {
            "id": f"crm-{told.lead_id}-{told.owner}-{number}",
            "type": f"sales.{reaction.action}",
            "occurred_at": happened_at.isoformat().replace("+00:00", "Z"),
            "lead": {"email": told.email},
            "data": {**reaction.data, "actor": told.owner},
        }

    async def _post(self, client: AccordClient, post: Post, hook: Hook | None) -> None:
        counts = self._board.counts
        counts.posted += len(post.events)
        answer = await client.post(post, hook)
        counts.accepted += answer.accepted
        counts.duplicates += answer.duplicates
        counts.rejected += answer.rejected

    def _done(self, task: asyncio.Task[None]) -> None:
        self._at_work.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()


def _by_source(post: Post) -> Iterator[tuple[str | None, Post]]:
    """Neighbours that come from one source together, so that everything stays in order. A CloudEvent goes with the key,
    and so do events that bear no source."""
    if post.form != "plain":
        yield None, post
        return
    for source, events in groupby(post.events, lambda event: event.get("source")):
        yield source, post._replace(events=tuple(events))
