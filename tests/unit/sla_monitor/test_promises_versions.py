"""What becomes of promises on many leads whose terms change: which periods are judged, and by which version."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promise_builders import LEADS_PER_WEEK, TEXT, PromiseHouse, accords_of, change, day

from services.sla_monitor.model.promises import State
from shared.agreement.compiled import CompiledAccord, compile_accord
from shared.agreement.loading import load_accord
from shared.agreement.versions import Accords
from shared.events.promises import PromiseWarned

ONLY_A = LEADS_PER_WEEK.replace("counts: mql", "counts: mql, when: {grade: A}")
EIGHT = LEADS_PER_WEEK.replace("at_least: 10", "at_least: 8")
BY_MONTH = LEADS_PER_WEEK.replace("per: week", "per: month")
BY_QUARTER = LEADS_PER_WEEK.replace("per: week", "per: quarter")
ACCEPTANCE = (
    "{id: acceptance, of: sales, share_of: mql, that_reached: sal, at_least: 60%, per: week, settles_after: 1d}"
)
BEGAN = day(-5)


def house_of(*versions: tuple[datetime, list[str]]) -> PromiseHouse:
    return PromiseHouse(accords_of((day(-30), [LEADS_PER_WEEK]), *versions), began=BEGAN)


def goes_through(house: PromiseHouse, until: datetime) -> None:
    """Looks every six hours, and whenever something is due."""
    at = BEGAN
    while at < until:
        at += timedelta(hours=6)
        house.passes(at)


def weeks_settled(house: PromiseHouse) -> list[str]:
    return [event.period for event in house.events if not isinstance(event, PromiseWarned)]


@pytest.mark.parametrize("meanwhile", [[], [ONLY_A]])
def test_what_was_taken_back_and_is_promised_again_is_judged_from_the_next_period_on(meanwhile: list[str]) -> None:
    house = house_of((day(9), meanwhile), (day(16), [LEADS_PER_WEEK]))
    goes_through(house, day(29))
    assert weeks_settled(house) == ["2026-W10", "2026-W13"]
    assert house.judged["leads-per-week", day(7, "0:00")].state is State.WITHDRAWN


def test_what_was_promised_otherwise_for_a_while_that_nobody_looked_at_is_not_judged() -> None:
    house = house_of((day(1), [ONLY_A]), (day(2), [LEADS_PER_WEEK]))
    house.looks(day(3))
    assert house.judged["leads-per-week", day(0, "0:00")].state is State.WITHDRAWN


@pytest.mark.parametrize("following", [ONLY_A, EIGHT])
def test_terms_that_count_from_a_periods_first_instant_on_are_those_of_that_period(following: str) -> None:
    house = house_of((day(7, "0:00"), [following]))
    goes_through(house, day(15))
    assert weeks_settled(house) == ["2026-W10", "2026-W11"]
    assert [event.accord for event in house.events if not isinstance(event, PromiseWarned)] == [1, 2]


def test_a_promise_that_comes_with_a_period_is_judged_in_it() -> None:
    house = PromiseHouse(accords_of((day(-30), []), (day(7, "0:00"), [LEADS_PER_WEEK])), began=BEGAN)
    goes_through(house, day(15))
    assert weeks_settled(house) == ["2026-W11"]


def test_a_settled_month_is_not_corrected_by_who_enters_in_the_quarter_that_began_with_it() -> None:
    april, may = day(30, "0:00"), day(70)
    house = PromiseHouse(accords_of((day(-60), [BY_MONTH]), (may, [BY_QUARTER])), began=day(-5))
    house.changes(change(1, "mql", april))
    house.passes(may)
    house.changes(change(2, "mql", may + timedelta(hours=1)))
    assert house.looks(may + timedelta(hours=2)) == []


def test_how_long_late_ones_count_says_the_version_that_judges_the_period() -> None:
    longer = ACCEPTANCE.replace("1d", "14d")
    house = PromiseHouse(accords_of((day(-30), [ACCEPTANCE]), (day(3), [longer])), began=BEGAN)
    house.changes(change(1, "mql", day(1)))
    house.passes(day(10))
    house.changes(change(1, "sal", day(10)))
    house.passes(day(22))
    (kept,) = house.events
    assert (kept.period, kept.reached, kept.accord) == ("2026-W10", 1.0, 2)


# Beside a plain reading of the rules, in zones whose days are not UTC's and whose clocks change in this spring.

TERMS = st.sampled_from([[], [LEADS_PER_WEEK], [EIGHT], [ONLY_A], [BY_MONTH], [BY_QUARTER]])
ZONES = st.sampled_from(["UTC", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Australia/Lord_Howe"])
HOURS = ['["09:00-17:00"]', '["22:00-06:00"]', '["00:00-24:00"]']


@settings(max_examples=50, deadline=None)
@given(
    ZONES,
    st.sampled_from(HOURS),
    st.lists(
        st.tuples(st.integers(-2, 60), st.booleans(), TERMS), min_size=1, max_size=4, unique_by=lambda one: one[:2]
    ),
    st.lists(st.tuples(st.integers(1, 4), st.integers(-48, 1500), st.booleans()), max_size=25),
)
def test_what_is_settled_is_what_a_look_at_the_whole_history_finds(
    zone: str,
    hours: str,
    versions: Sequence[tuple[int, bool, list[str]]],
    entered: Sequence[tuple[int, int, bool]],
) -> None:
    terms = [(day(-30), [LEADS_PER_WEEK]), *sorted((_effective(*one[:2], zone), one[2]) for one in versions)]
    accords = Accords([(at, _compiled(n, zone, hours, tuple(said))) for n, (at, said) in enumerate(terms, 1)])
    house, end = PromiseHouse(accords, began=BEGAN), day(70)
    line = sorted((day(0) + timedelta(hours=at), lead, "A" if is_a else "B") for lead, at, is_a in entered)
    for at, lead, grade in line:
        goes_on(house, at)
        house.changes(change(lead, "mql", at, grade=grade))
    goes_on(house, end)
    told = [event for event in house.events if not isinstance(event, PromiseWarned)]
    assert [(event.since, event.until, event.reached, event.target) for event in told] == sorted(
        _settled(terms, line, zone, end), key=lambda found: found[1]
    )


def goes_on(house: PromiseHouse, until: datetime) -> None:
    """Looks at each change of terms, as a house does within seconds."""
    at = max([BEGAN, *(row.judged_through for row in house.judged.values() if row.judged_through <= until)])
    changes = {house.accords.effective_at(accord.version) for accord in house.accords.all}
    for moment in sorted({until, *(one for one in changes if at < one < until)}):
        house.passes(moment)


def _effective(number: int, at_midnight: bool, zone: str) -> datetime:
    at = day(number, "13:07")
    return at.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0) if at_midnight else at


@cache
def _compiled(version: int, zone: str, hours: str, promises: tuple[str, ...]) -> CompiledAccord:
    text = TEXT.replace('["09:00-17:00"]', hours).replace("timezone: UTC", f"timezone: {zone}")
    return compile_accord(load_accord(text.replace("PROMISES", ", ".join(promises))), version)


def _settled(
    terms: Sequence[tuple[datetime, list[str]]], line: Sequence[tuple[datetime, int, str]], zone: str, end: datetime
) -> list[tuple[datetime, datetime, int, int]]:
    found = []
    for per, counting in (("week", [LEADS_PER_WEEK, EIGHT]), ("week", [ONLY_A]), ("month", [BY_MONTH])):
        for since, until in pairwise(_firsts(per, zone)):
            # Which terms applied within it, the one it began with included.
            last_before = max(at for at, _ in terms if at <= since)
            applied = [said for at, said in terms if last_before <= at < until]
            if since <= BEGAN or until > end or not all(said and said[0] in counting for said in applied):
                continue
            firsts: dict[int, str] = {}
            for at, lead, grade in line:
                if since <= at < until:
                    firsts.setdefault(lead, grade)
            reached = sum(grade == "A" or counting != [ONLY_A] for grade in firsts.values())
            found.append((since, until, reached, 8 if applied[-1] == [EIGHT] else 10))
    return found


def _firsts(per: str, zone: str) -> list[datetime]:
    """The first instants of the weeks or months of this spring."""
    midnights = [datetime(2026, 2, 16, tzinfo=ZoneInfo(zone)) + timedelta(days=n) for n in range(110)]
    return [at for at in midnights if (at.weekday() == 0 if per == "week" else at.day == 1)]
