"""The loop that all readers of the stream share: each event once and in order for everybody, whoever joins when."""

from collections.abc import Sequence

from builders import lead_in
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services.api.metrics import Metrics
from services.api.routes import stream_feed
from services.api.routes.stream_feed import Feed, Filter, Reader, read_by
from services.api.routes.stream_place import read
from services.api.store.stream import Entry, StreamStore


class Kept(StreamStore):
    """Two partitions in memory, each in the order of its numbers."""

    def __init__(self) -> None:
        self.partitions = 2
        self.entries: list[Entry] = []

    def add(self, partition: int, type_: str = "accord.stage.changed") -> None:
        number = len(self.entries) + 1
        self.entries.append(Entry(partition, number, lead_in(partition, partitions=2), type_, f'{{"n": {number}}}'))

    async def following(self, place: Sequence[int], most: int) -> list[Entry]:
        found = [entry for entry in self.entries if entry.number > place[entry.partition]]
        return [e for p in range(2) for e in [f for f in found if f.partition == p][:most]]

    async def ends(self) -> list[int]:
        return [max((e.number for e in self.entries if e.partition == p), default=0) for p in range(2)]


async def joined(feed: Feed, reader: Reader) -> bytes:
    """A reader that has caught up, and what it read on the way."""
    assert reader.place is not None
    before = read_by(reader, await feed.store.following(reader.place, 500))
    await feed.join(reader)
    before += read_by(reader, await feed.store.following(reader.place, 500))
    reader.end_early()
    return before


def seen(stream: bytes) -> list[tuple[str, int]]:
    """(id, number) of each event in a piece of the stream."""
    blocks = [block.split(b"\n") for block in stream.split(b"\n\n") if block]
    return [(lines[0].decode()[4:], int(lines[2][len(b'data: {"n": ') : -1])) for lines in blocks]


@settings(max_examples=60)
@given(data=st.data(), steps=st.lists(st.sampled_from(["0", "1", "look", "join", "leave"]), max_size=40))
async def test_every_reader_gets_each_event_once_and_may_go_on_from_any_id(
    data: st.DataObject, steps: list[str]
) -> None:
    store, metrics = Kept(), Metrics(CollectorRegistry())
    feed = Feed(store, metrics)
    readers: list[tuple[Reader, list[tuple[str, int]]]] = []
    for step in [*steps, "look"]:
        if step == "look" and feed.readers:
            await feed.look()
        elif step == "join":
            reader = Reader(Filter(), [0, 0])
            readers.append((reader, seen(await joined(feed, reader))))
        elif step == "leave" and readers:
            feed.leave(data.draw(st.sampled_from(readers))[0])
        elif step in "01":
            store.add(int(step))
        for reader, events in readers:
            events += seen(reader.take())
    for reader, events in readers:
        numbers = [number for _, number in events]
        assert len(numbers) == len(set(numbers))
        if reader in feed.readers:
            assert sorted(numbers) == [entry.number for entry in store.entries]
        for index, (id_, _) in enumerate(events):
            missed = {e.number for e in await store.following(read(id_, 2), 500)}
            assert missed == {entry.number for entry in store.entries} - set(numbers[: index + 1])


async def test_a_reader_gets_what_it_asked_for() -> None:
    store = Kept()
    feed = Feed(store, Metrics(CollectorRegistry()))
    by_type, by_lead = Reader(Filter(("accord.clock.*",)), [0, 0]), Reader(Filter((), lead_in(1, partitions=2)), [0, 0])
    for reader in (by_type, by_lead):
        await joined(feed, reader)
    for partition, type_ in ((0, "accord.clock.met"), (1, "accord.stage.changed"), (0, "accord.stage.changed")):
        store.add(partition, type_)
    await feed.look()
    assert [number for _, number in seen(by_type.take())] == [1]
    assert [number for _, number in seen(by_lead.take())] == [2]


async def test_a_slow_reader_is_cut_off_and_the_others_go_on() -> None:
    store, metrics = Kept(), Metrics(CollectorRegistry())
    feed = Feed(store, metrics)
    slow, quick = Reader(Filter(), [0, 0]), Reader(Filter(), [0, 0])
    for reader in (slow, quick):
        await joined(feed, reader)
    got = 0
    while not slow.is_over:
        for _ in range(400):
            store.add(0)
        await feed.look()
        got += len(seen(quick.take()))
    assert got == len(store.entries)
    assert feed.readers == {quick}
    assert slow.take() == b""
    assert metrics.limits_reached.labels("stream_queue")._value.get() == 1
    assert got * 80 > stream_feed.QUEUE_BYTES_MAX


async def test_readers_are_let_go_when_the_process_stops() -> None:
    feed = Feed(Kept(), Metrics(CollectorRegistry()))
    reader = Reader(Filter(), [0, 0])
    await joined(feed, reader)
    feed.close()
    assert reader.is_over
