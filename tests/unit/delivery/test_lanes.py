"""Whose room a try takes: endpoints that work have one budget, those that fail or don't answer another."""

from builders import NOON, lead_in

from services.delivery.model.attempts import Outcome, Try
from services.delivery.model.subscriptions import Subscription
from services.delivery.store.claims import Claimed
from services.delivery.sweeper.lanes import AHEAD_MAX, SLOW_SECONDS, Budgets, Lane


def lane(number: int) -> Lane:
    return Lane(Subscription(lead_in(number), "https://crm.example/hook", ("*",), None), 10)


def delivery() -> Claimed:
    return Claimed(lead_in(1), lead_in(2), lead_in(3), 0, NOON, "{}", "accord.lead.qualified", 1, NOON)


def test_a_quick_endpoint_is_low_while_half_of_what_it_may_hold_waits_still_and_a_slow_one_when_nothing_does() -> None:
    quick, slow = lane(1), lane(2)
    for one, seconds in ((quick, 0.001), (slow, 2.0)):
        for _ in range(50):
            one.note(Try(Outcome.DELIVERED, NOON, seconds), NOON)
    held = quick.room(NOON)
    assert held == quick.window.size * AHEAD_MAX
    quick.queue.extend([delivery()] * (held // 2 + 1))
    assert (quick.room(NOON), quick.is_low) == (0, False)
    quick.queue.pop()
    assert quick.is_low
    assert quick.room(NOON) == held - held // 2
    slow.queue.extend([delivery()] * slow.room(NOON))
    assert len(slow.queue) == slow.window.size
    assert (slow.room(NOON), slow.is_low) == (0, False)
    slow.queue.clear()
    assert slow.is_low


def test_an_endpoint_that_does_not_answer_gives_its_room_back_to_those_that_do() -> None:
    budgets, hanging, working = Budgets(2), lane(1), lane(2)
    tries = [budgets.begin(hanging, 0.0), budgets.begin(hanging, 0.9)]
    assert not budgets.has_room(working)
    budgets.judge(hanging, SLOW_SECONDS)
    assert not budgets.has_room(working)
    budgets.judge(hanging, SLOW_SECONDS + 0.1)
    assert (budgets.has_room(working), budgets.has_room(hanging)) == (True, False)
    # The oldest try counts: without it the endpoint is as good as any other.
    budgets.end(hanging, tries[0])
    budgets.judge(hanging, SLOW_SECONDS + 0.1)
    assert not hanging.is_doubtful
    assert budgets.has_room(working)
    budgets.begin(working, SLOW_SECONDS + 0.1)
    assert not budgets.has_room(working)


def test_an_endpoint_that_fails_is_doubtful_until_it_works_again() -> None:
    budgets, failing = Budgets(1), lane(1)
    for outcome in (Outcome.FAILED, Outcome.DELIVERED):
        number = budgets.begin(failing, 0.0)
        failing.note(Try(outcome, NOON, 0.1), NOON)
        budgets.judge(failing, 0.1)
        assert failing.is_doubtful == (outcome is Outcome.FAILED)
        assert not budgets.has_room(failing)
        budgets.end(failing, number)
        assert budgets.has_room(failing)
