"""Loading: the packaged accord, strictness, every problem at once with its line, and the bounds of reading."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from agreement_builders import DEFAULT, MINIMAL, ODD_VALUES, places, problems_left, problems_of
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.agreement.clocks import moment
from shared.agreement.compiled import compile_accord
from shared.agreement.loading import (
    InvalidAccord,
    default_accord_text,
    describe_problems,
    load_accord,
    warnings,
)


def test_the_packaged_accord_loads_whole() -> None:
    accord = load_accord(default_accord_text())
    assert [rule.id for rule in accord.scoring.engagement.rules][-2:] == ["demo", "unsubscribed"]
    assert len(accord.scoring.engagement.rules) == 12
    assert accord.scoring.fit.rules[0].id == "decision-maker"
    clocks = ["first-contact-hot", "first-contact", "accept-or-reject", "work-the-opportunity"]
    assert [clock.id for clock in accord.sla.clocks] == clocks
    assert len(accord.sla.promises) == 4
    assert warnings(accord) == []


def test_only_the_required_fields_are_required() -> None:
    accord = load_accord(MINIMAL)
    assert accord.scoring.engagement.rules == []
    assert accord.routing.teams == {}
    for line in ("accord: 1\n", "name: Small\n", "scoring: {}\n", "  timezone: Europe/Oslo\n"):
        assert problems_of(MINIMAL.replace(line, ""))
    assert problems_of(MINIMAL.replace("  mql: {engagement: {gte: 40}}", "  recycle: {cool_down: 1d}")) == [
        ("stages.mql", 7)
    ]


def test_every_problem_is_told_at_once_with_its_line() -> None:
    text = default_accord_text()
    for right, wrong in {
        "half_life: 14d": "half_live: 14d",
        "America/New_York": "America/New_Yrok",
        "{team: commercial}": "{team: comercial}",
        "id: mid-market": "id: enterprise",
        "starts: sql": "starts: sqll",
        "{engagement: {gte: 40}}": "{engagement: {gte40: 40}}",
        "warn_at: 60%": "warn_at: 60",
        "points: 60": "points: true",
    }.items():
        text = text.replace(right, wrong)
    assert problems_of(text) == [
        ("calendar.timezone", 7),
        ("scoring.engagement.rules[10].points", 34),
        ("scoring.engagement.rules[10].half_live", 34),
        ("scoring.fit.rules[3].id", 41),
        ("stages.mql.any[0].all[0].engagement.gte40", 50),
        ("routing.rules[1].team", 68),
        ("sla.clocks[3].starts", 98),
        ("sla.promises[0].warn_at", 104),
    ]
    with pytest.raises(InvalidAccord) as refused:
        load_accord(text)
    described = describe_problems(refused.value.problems)
    assert "line 34: scoring.engagement.rules[10].half_live: found the unknown key half_live, allowed: " in described
    assert "did you mean `half_life`?" in described
    assert str(refused.value) == described


@pytest.mark.parametrize(
    ("right", "wrong", "path"),
    [
        ("points: 60", "points: '60'", "scoring.engagement.rules[10].points"),
        ("points: 60", "points: 60.0", "scoring.engagement.rules[10].points"),
        ("cap: 200", "cap: -1", "scoring.engagement.cap"),
        ("accord: 1", "accord: true", "accord"),
        ("accord: 1", "accord: 2", "accord"),
        ("currency: USD", "currency: dollars", "currency"),
        ("half_life: 30d", "half_life: 30", "scoring.engagement.half_life"),
        ("half_life: 30d", "half_life: 0d", "scoring.engagement.half_life"),
        ("half_life: 30d", "half_life: 99999d", "scoring.engagement.half_life"),
        ("half_life: 30d", "half_life: 1.5d", "scoring.engagement.half_life"),
        ("once: true", "once: 'true'", "scoring.engagement.rules[11].once"),
        ('"09:00-12:00", ', '"09:00-25:00", ', "calendar.hours.fri[0]"),
        ('"09:00-12:00", ', '"09:60-12:00", ', "calendar.hours.fri[0]"),
        ('"09:00-12:00", ', '"09:00-09:00", ', "calendar.hours.fri[0]"),
        ('"09:00-12:00", ', '"24:00-12:00", ', "calendar.hours.fri[0]"),
        ('"2026-12-24"', '"2026-02-30"', "calendar.holidays.extra[0]"),
        ("country: US", "country: USSR", "calendar.holidays.country"),
        ("subdivision: NY", "subdivision: Bavaria", "calendar.holidays.subdivision"),
        ("timezone: America/New_York", "timezone: America", "calendar.timezone"),
        ("timezone: America/New_York", "timezone: ../../etc/passwd", "calendar.timezone"),
        ("not_ready: recycled", "not_ready: forgotten", "stages.rejection_reasons.not_ready"),
        ("stops: [contacted]\n      when: {grade", "stops: [called]\n      when: {grade", "sla.clocks[0].stops[0]"),
        ("stops: [contacted]\n      when: {grade", "stops: []\n      when: {grade", "sla.clocks[0].stops"),
        ("to: owner}, {at: 200%", "to: boss}, {at: 200%", "sla.clocks[0].escalate[0].to"),
        ("then: reassign", "then: fire", "sla.clocks[0].escalate[1].then"),
        (
            "warn_at: 75%\n      escalate: [{at: 100%, to: owner}, ",
            "warn_at: 0%\n      escalate: [",
            "sla.clocks[0].warn_at",
        ),
        ("within: 8h", "within: 0h", "sla.clocks[1].within"),
        ("id: first-contact\n", "id: first-contact-hot\n", "sla.clocks[1].id"),
        ("id: first-contact\n", "id: ' x'\n", "sla.clocks[1].id"),
        ("weight: 2", "weight: 0", "routing.teams.enterprise[0].weight"),
        ("capacity: 20/d", "capacity: 20", "routing.teams.enterprise[0].capacity"),
        ("{owner: grace@", "{owner: ada@", "routing.teams.enterprise[1].owner"),
        ("{enterprise: em@", "{enterprize: em@", "routing.managers.enterprize"),
        ("id: hot-leads-per-week", "id: leads-per-week", "sla.promises[1].id"),
        ("at_least: 120", "at_least: 40%", "sla.promises[0].at_least"),
        ("at_least: 60%", "at_least: 60", "sla.promises[3].at_least"),
        ("share_of: mql, that", "that", "sla.promises[3]"),
        (
            "{title: {matches: '(?i)\\b(student",
            "{title: {matches: '(?i)\\b((student",
            "scoring.fit.rules[5].where.title.matches",
        ),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(right: str, wrong: str, path: str) -> None:
    text = default_accord_text()
    assert right in text
    refused = problems_of(text.replace(right, wrong, 1))
    assert [refused_path for refused_path, _ in refused] == [path]
    assert all(line is not None for _, line in refused)


def test_a_calendar_without_an_open_hour_in_a_year_is_refused() -> None:
    assert problems_of(MINIMAL.replace('{mon: ["09:00-17:00"]}', "{}")) == [("calendar.hours", 5)]
    assert problems_of(MINIMAL.replace('["09:00-17:00"]', "[]")) == [("calendar.hours", 5)]
    first = date(2027, 3, 1)
    assert first.weekday() == 0
    mondays = ", ".join(f'"{first + timedelta(weeks=week)}"' for week in range(53))
    closed = MINIMAL.replace("  hours:", f"  holidays: {{extra: [{mondays}]}}\n  hours:")
    assert problems_of(closed) == [("calendar.hours", 6)]
    load_accord(closed.replace(', "2027-05-31"', ""))


def test_a_clock_that_would_take_decades_of_open_hours_is_refused() -> None:
    clock = "sla: {clocks: [{id: slow, starts: mql, stops: [contacted], within: 3000d}]}\n"
    assert problems_of(MINIMAL + clock) == [("sla.clocks[0].within", 9)]


@pytest.mark.parametrize(
    ("open_hours", "within", "refused"),
    [
        ("09:00-09:01", "3660d", ["calendar.hours"]),
        ("09:00-09:02", "3660d", ["sla.clocks[0].within"]),
        ("09:00-09:02", "35h", ["sla.clocks[0].within"]),
        ("09:00-09:02", "34h", []),
    ],
)
def test_whatever_is_taken_has_a_deadline_however_seldom_the_calendar_is_open(
    open_hours: str, within: str, refused: list[str]
) -> None:
    clock = f"sla: {{clocks: [{{id: slow, starts: mql, stops: [contacted], within: {within}}}]}}\n"
    text = MINIMAL.replace("09:00-17:00", open_hours) + clock
    if refused:
        assert [path for path, _ in problems_of(text)] == refused
        return
    accord = compile_accord(load_accord(text), 1)
    start = datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert start.year + 18 <= moment(accord, accord.clock_rule("slow"), start, 1.0).year <= start.year + 20


def test_likely_slips_are_warned_of() -> None:
    def warned(change: Callable[[str], str]) -> list[str]:
        return warnings(load_accord(change(default_accord_text())))

    assert "above the cap 60" in warned(lambda text: text.replace("cap: 200", "cap: 60"))[0]
    assert "nobody gets B" in warned(lambda text: text.replace("B: 30", "B: 50"))[0]
    assert "overlap" in warned(lambda text: text.replace('"13:00-16:00"', '"11:00-16:00"'))[0]


def test_the_agreement_reads_no_clock_and_does_no_io() -> None:
    forbidden = ("import asyncio", "import random", "import logging", "import os", "shared.clock", "import time\n")
    for source in (Path(__file__).parents[3] / "shared" / "agreement").glob("*.py"):
        assert not any(words in source.read_text(encoding="utf-8") for words in forbidden), source.name


@settings(max_examples=100, deadline=None)
@given(at=st.sampled_from(list(places(DEFAULT))), odd=st.sampled_from(ODD_VALUES))
def test_whatever_stands_anywhere_is_accepted_or_refused_with_a_place(at: tuple[str | int, ...], odd: Any) -> None:
    document = deepcopy(DEFAULT)
    if not at:
        document = odd
    else:
        around: Any = document
        for part in at[:-1]:
            around = around[part]
        around[at[-1]] = odd
    problems = problems_left(document)
    assert all(problem.found and problem.allowed for problem in problems)
