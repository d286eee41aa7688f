"""What the runner promises when a handler fails: poison stands alone, a bad release stops, the rest is retried."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
import pytest
from builders import NOON, an_event, eventually
from contract.runner_world import NameKeeper, Service, TickKeeper, a_service, keeps, kept, post, running
from contract.worlds import World, all_on, assert_numbers_are_whole, count_on

from shared.errors import Poison, Surroundings, TooMuch
from shared.events.dead_letter import DeadLettered
from shared.events.envelope import Outgoing
from shared.events.topics import ACTIVITY, DEAD_LETTER, SCORE
from shared.stream import replay, runner
from shared.stream.breaker import IN_A_ROW_MAX
from shared.stream.carrier import Transaction
from shared.stream.dead_letter import of

STOPPED_AFTER = IN_A_ROW_MAX + 1


def fails_on(*poison: str, error: Exception | None = None) -> Callable[[list[str]], None]:
    def fail(batch: list[str]) -> None:
        if set(poison).intersection(batch):
            raise error or Poison("can't be applied")

    return fail


def fails_on_everything(batch: list[str]) -> None:
    raise KeyError("a bug of this release")


def works(batch: list[str]) -> None:
    return None


async def has_stopped(service: Service) -> None:
    await eventually(lambda: service.runner.state == "stopped")
    assert service.metric("accord_stream_stopped", partition="0") == 1


class RunnerFailureContract:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replays and resumes are looked for more often than once a second."""
        monkeypatch.setattr(replay, "CHECK_SECONDS", 0.02)
        monkeypatch.setattr(runner, "RESUME_CHECK_SECONDS", 0.02)

    @pytest.mark.parametrize("error", [Poison(), ValueError("a bug"), KeyError("\ud800 \x00"), ZeroDivisionError()])
    async def test_poison_in_mid_batch_stands_alone_as_dead_letter(self, world: World, error: Exception) -> None:
        numbers = [f"{n:02}" for n in range(40)]
        await post(world, *numbers)
        service = a_service(world, handler=NameKeeper(world, fails_on("13", "27", error=error)))
        async with running(service):
            await keeps(world, [name for name in numbers if name not in ("13", "27")])
            await post(world, "after")
            await eventually(lambda: self._is_kept(world, "after"))
        assert await world.letters() == 2
        assert service.metric("accord_stream_dead_letters_total") == 2
        assert await world.carrier.position("scoring", ACTIVITY, 0) == 41
        await assert_numbers_are_whole(world, [SCORE, DEAD_LETTER])
        for record, name in zip(await all_on(world, DEAD_LETTER, 0), ("13", "27"), strict=True):
            told = msgspec.json.decode(record.event.value, type=DeadLettered)
            assert (told.event_id, told.service, told.position) == (an_event(name).id, "scoring", int(name))
            assert record.event.cause == an_event(name).id
            assert record.event.received_at == an_event(name).received_at

    @staticmethod
    async def _is_kept(world: World, name: str) -> bool:
        return name in await kept(world)

    async def test_a_batch_that_needs_more_than_a_step_may_do_is_halved(self, world: World) -> None:
        def refuse(batch: list[str]) -> None:
            if len(batch) > 3:
                raise TooMuch

        numbers = [f"{n:02}" for n in range(20)]
        await post(world, *numbers)
        service = a_service(world, handler=NameKeeper(world, refuse))
        async with running(service):
            await keeps(world, numbers)
        assert max(len(batch) for batch in service.handler.batches[-2:]) <= 3
        assert await world.letters() == 0
        assert service.metric("accord_stream_retries_total") == 0

    async def test_an_event_that_alone_needs_too_much_waits_until_the_ticker_has_prepared_it(
        self, world: World
    ) -> None:
        ticker = TickKeeper(world)

        def refuse(batch: list[str]) -> None:
            if "huge" in batch and ticks_left:
                ticks_left.pop()
                ticker.due = 1
                raise TooMuch

        ticks_left = [1, 2, 3, 4, 5]
        await post(world, "before", "huge", "after")
        service = a_service(world, handler=NameKeeper(world, refuse), ticker=ticker)
        async with running(service):
            await eventually(lambda: self._is_kept(world, "after"))
        names_kept = await kept(world)
        assert [name for name in names_kept if name != "tick"] == ["before", "huge", "after"]
        assert names_kept.index("huge") > names_kept.index("tick")
        assert await world.letters() == 0
        assert service.metric("accord_stream_retries_total") == 0

    async def test_a_handler_that_fails_on_everything_stops_and_does_not_drain_the_log(self, world: World) -> None:
        numbers = [f"{n:03}" for n in range(100)]
        await post(world, *numbers)
        service = a_service(world, handler=NameKeeper(world, fails_on_everything), limit=64)
        async with running(service):
            await has_stopped(service)
            calls = len(service.handler.batches)
            await post(world, "more")
            assert len(service.handler.batches) == calls
        assert await world.letters() == STOPPED_AFTER
        assert await world.carrier.position("scoring", ACTIVITY, 0) == STOPPED_AFTER
        assert await kept(world) == []

    async def test_a_stop_survives_a_restart_and_ends_by_resume(self, world: World) -> None:
        numbers = [f"{n:03}" for n in range(30)]
        await post(world, *numbers)
        service = a_service(world, handler=NameKeeper(world, fails_on_everything))
        async with running(service):
            await has_stopped(service)
        healed = a_service(world)
        async with running(healed):
            await has_stopped(healed)
            assert healed.handler.batches == []
            assert await world.carrier.resume("scoring", 0)
            await keeps(world, numbers[STOPPED_AFTER:])
            await eventually(lambda: healed.runner.state == "running")
            assert healed.metric("accord_stream_stopped", partition="0") == 0
        assert await world.letters() == STOPPED_AFTER

    async def test_a_stop_ends_with_a_new_release(self, world: World) -> None:
        numbers = [f"{n:03}" for n in range(30)]
        await post(world, *numbers)
        service = a_service(world, handler=NameKeeper(world, fails_on_everything), release="1")
        async with running(service):
            await has_stopped(service)
        async with running(a_service(world, release="2")):
            await keeps(world, numbers[STOPPED_AFTER:])

    async def test_resumed_without_a_cure_it_stops_again_as_late_as_before(self, world: World) -> None:
        await post(world, *(f"{n:03}" for n in range(60)))
        service = a_service(world, handler=NameKeeper(world, fails_on_everything))
        async with running(service):
            await has_stopped(service)
            assert await world.carrier.resume("scoring", 0)
            await eventually(lambda: service.metric("accord_stream_dead_letters_total") == 2 * STOPPED_AFTER)
            await has_stopped(service)
        assert await world.carrier.position("scoring", ACTIVITY, 0) == 2 * STOPPED_AFTER

    async def test_dead_letters_in_a_row_are_counted_over_restarts(self, world: World) -> None:
        for turn in range(3):
            await post(world, *(f"{turn}.{n}" for n in range(10)))
            service = a_service(world, handler=NameKeeper(world, fails_on_everything))
            async with running(service):
                expected = min(10 * (turn + 1), STOPPED_AFTER)
                await eventually(lambda expected=expected: self._letters_are(world, expected))  # type: ignore[misc]
        assert await world.carrier.position("scoring", ACTIVITY, 0) == STOPPED_AFTER

    @staticmethod
    async def _letters_are(world: World, expected: int) -> bool:
        return await world.letters() == expected

    async def test_an_event_applied_between_two_rows_of_dead_letters_keeps_it_running(self, world: World) -> None:
        row = IN_A_ROW_MAX
        poison = [f"bad {n:02}" for n in range(2 * row)]
        await post(world, *poison[:row], "good", *poison[row:], "last")
        service = a_service(world, handler=NameKeeper(world, fails_on(*poison)))
        async with running(service):
            await keeps(world, ["good", "last"])
            assert service.runner.state == "running"
        assert await world.letters() == 2 * row

    @pytest.mark.parametrize("error", [Surroundings(), ConnectionResetError(), TimeoutError(), MemoryError()])
    async def test_faults_of_the_surroundings_are_retried_and_never_dead_lettered(
        self, world: World, error: Exception
    ) -> None:
        left = [error] * 3

        def fail(batch: list[str]) -> None:
            if left:
                raise left.pop()

        await post(world, "a", "b", "c")
        service = a_service(world, handler=NameKeeper(world, fail))
        async with running(service):
            await keeps(world, ["a", "b", "c"])
        assert service.handler.batches == [["a", "b", "c"]] * 4
        assert service.metric("accord_stream_retries_total") == 3
        assert await world.letters() == 0

    async def test_a_replay_applies_with_the_original_time_and_moves_no_position(self, world: World) -> None:
        await post(world, "before", "poison", "after")
        service = a_service(world, handler=NameKeeper(world, fails_on("poison")))
        async with running(service):
            await keeps(world, ["before", "after"])
            service.handler.fail = works
            letter = (await all_on(world, DEAD_LETTER, 0))[0].event.id
            assert await world.carrier.ask_replay(letter)
            await keeps(world, ["before", "after", "poison"])
            await eventually(lambda: service.metric("accord_stream_replays_total") == 1)
            await post(world, "later")
            await keeps(world, ["before", "after", "poison", "later"])
        assert dict(await world.saved())["poison"] == NOON.isoformat()
        assert (await all_on(world, SCORE, 0))[2].event.received_at == NOON
        assert await world.carrier.position("scoring", ACTIVITY, 0) == 4
        assert await world.letters() == 0
        await assert_numbers_are_whole(world, [SCORE])

    async def test_a_replay_that_fails_leaves_the_letter_open_and_the_line_goes_on(self, world: World) -> None:
        await post(world, "poison")
        service = a_service(world, handler=NameKeeper(world, fails_on("poison")))
        async with running(service):
            await eventually(lambda: self._letters_are(world, 1))
            letter = of((await all_on(world, ACTIVITY, 0))[0], service="scoring", kind="", error=Poison(), at=NOON)
            for turn in range(3):
                tries = service.handler.batches.count(["poison"])
                assert await world.carrier.ask_replay(letter.id)
                await eventually(lambda tries=tries: service.handler.batches.count(["poison"]) > tries)  # type: ignore[misc]
                await post(world, f"{turn}")
                await eventually(lambda turn=turn: self._is_kept(world, f"{turn}"))  # type: ignore[misc]
        assert await kept(world) == ["0", "1", "2"]
        assert await world.letters() == 1
        assert await count_on(world.carrier, DEAD_LETTER, 0) == 1

    async def test_a_tick_that_fails_is_retried_and_the_line_goes_on(self, world: World) -> None:
        class Failing(TickKeeper):
            async def tick(self, transaction: Transaction, now: datetime) -> Sequence[Outgoing]:
                raise ValueError("a bug")

        service = a_service(world, ticker=Failing(world, due=1))
        async with running(service):
            for turn in range(3):
                await post(world, f"{turn}")
                await keeps(world, [f"{n}" for n in range(turn + 1)])
        assert await world.letters() == 0
