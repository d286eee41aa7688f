"""Traffic for the fault tests: posts made up from a seed, and a sender that posts again, with the same ids, whatever
it got no answer to."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Self
from uuid import UUID

import aiohttp
from builders import eventually
from patience import PATIENCE

from services.ingest.model import event_id
from shared.clock import SystemClock

SOURCE = "chaos"
LEADS = 100
COMPANIES = 20
POST_EVENTS_MAX = 12
SENDERS = 4
SENDER_SECONDS = 0.05  # between two posts of one sender
ANSWER_SECONDS = 4.0 * PATIENCE
ANSWERED_WITHIN_SECONDS = 90.0

Fields = dict[str, Any]

_ACTIVITIES = (
    *("page.viewed",) * 6,
    *("whitepaper.downloaded",) * 4,
    *("cta.completed",) * 4,
    *("demo.requested",) * 3,
    "email.unsubscribed",
)
_ACTIONS: tuple[tuple[str, Fields], ...] = (
    *(("sales.contacted", {"channel": "phone"}),) * 4,
    *(("sales.accepted", {}),) * 2,
    ("sales.rejected", {"reason": "not_ready"}),
    ("sales.rejected", {"reason": "competitor"}),
    ("sales.recycled", {"reason": "silence"}),
    ("sales.qualified", {}),
    ("sales.assigned", {}),
    ("sales.assigned", {"owner": "grace@sales.example"}),
    ("sales.note", {"note": "called twice"}),
    ("sales.reopened", {}),
)
_PROFILES: tuple[Fields, ...] = (
    {"title": "Director of Operations", "employees": 1200},
    {"title": "Chief Engineer", "employees": 80},
    {"title": "Analyst", "employees": None},
)


def event_id_of(event: Fields) -> UUID:
    """The id under which ingest accepts a posted event that has one of its sender's."""
    return event_id(event["source"], event["id"], event, SystemClock().now())


def posts(seed: int) -> Iterator[list[Fields]]:
    """Posts without end: everything that leads and reps do, hardly ever in the order in which it happened."""
    random, clock, number = Random(seed), SystemClock(), 0
    while True:
        post = []
        for _ in range(random.randint(1, POST_EVENTS_MAX)):
            number += 1
            post.append({"id": f"{seed}-{number}", "source": SOURCE, **_event(random, clock.now())})
        yield post


def _event(random: Random, now: datetime) -> Fields:
    lead = random.randrange(LEADS)
    who: Fields = {"email": f"lead-{lead}@company-{lead % COMPANIES}.example"}
    if random.random() < 0.2:
        who = {"anonymous_id": f"visitor-{lead}", **(who if random.random() < 0.5 else {})}
    kind = random.choices(("activity", "sales", "profile"), (70, 20, 10))[0]
    # Most things are heard of at once, some days later.
    ago = timedelta(seconds=random.choice((0, 0, 0.3, 2, 60, 100_000, 400_000)) * random.random())
    event: Fields = {"occurred_at": (now - ago).isoformat(), "lead": who}
    if kind == "sales":
        action, data = random.choice(_ACTIONS)
        return {**event, "type": action, "data": data}
    profile = random.choice(_PROFILES)
    if kind == "profile":
        return {**event, "type": "profile.updated", "profile": profile}
    if random.random() < 0.1:
        event["profile"] = profile
    return {**event, "type": random.choice(_ACTIVITIES), "data": {"path": f"/page/{lead}"}}


async def passes(seconds: float) -> None:
    """A moment under load: there is no condition to wait for when anything may be going on."""
    time = asyncio.get_running_loop().time
    at = time() + seconds
    await eventually(lambda: time() >= at, within=seconds + 1)


@dataclass
class Sender:
    """Posts to one of `urls`, in turn. An event counts as accepted once a 202 was received for it."""

    session: aiohttp.ClientSession
    key: str
    urls: list[str]
    accepted: list[UUID] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    without_retry_after: int = 0
    tries: int = 0

    async def post(self, events: Sequence[Fields]) -> None:
        """Returns once the events were accepted. What is neither 202 nor 503 fails the test."""
        await eventually(lambda: self.try_once(events), within=ANSWERED_WITHIN_SECONDS)
        self.accepted += map(event_id_of, events)

    async def try_once(self, events: Sequence[Fields]) -> bool:
        self.tries += 1
        url = self.urls[self.tries % len(self.urls)]
        try:
            async with self.session.post(
                f"{url}/v1/events",
                json={"events": events},
                headers={"Authorization": f"Bearer {self.key}"},
                timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
            ) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.answers["none"] += 1
            return False
        self.answers[str(response.status)] += 1
        if response.status == 503:
            self.without_retry_after += "Retry-After" not in response.headers
            return False
        assert response.status == 202, answer
        assert not answer["rejected"], answer
        assert answer["accepted"] + answer["duplicates"] == len(events)
        self.counted.update({name: answer[name] for name in ("accepted", "duplicates")})
        return True


class Load:
    """Several clients that post at a steady pace, from entering until leaving; then each post has its answer."""

    def __init__(self, sender: Sender, seed: int, pause_seconds: float = SENDER_SECONDS) -> None:
        self.sender = sender
        self._posts = posts(seed)
        self._pause_seconds = pause_seconds
        self._ends = asyncio.Event()
        self._clients: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._clients = [asyncio.create_task(self._run()) for _ in range(SENDERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ends.set()
        await asyncio.gather(*self._clients)

    def check(self) -> None:
        """Raises what made a client end."""
        for client in self._clients:
            if client.done():
                client.result()

    async def goes_on(self, posts: int) -> None:
        """Returns once so many more posts were accepted."""
        wanted = self.sender.answers["202"] + posts

        def have_been_accepted() -> bool:
            self.check()
            return self.sender.answers["202"] >= wanted

        await eventually(have_been_accepted, within=ANSWERED_WITHIN_SECONDS)

    async def is_refused(self) -> None:
        """Returns once a post was answered 503."""
        before = self.sender.answers["503"]
        await eventually(lambda: self.sender.answers["503"] > before, within=10)

    async def _run(self) -> None:
        while not self._ends.is_set():
            await self.sender.post(next(self._posts))
            await passes(self._pause_seconds)
