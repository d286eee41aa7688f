"""The deadline that docs/sla.md works out is the one that the calendar finds, line by line."""

import re
from datetime import datetime, timedelta
from pathlib import Path

from shared.agreement.compiled import compile_accord
from shared.agreement.loading import load_accord

PAGE = (Path(__file__).parents[3] / "docs" / "sla.md").read_text()
ACCORD = """
accord: 1
name: Worked example
{calendar}
scoring: {{engagement: {{half_life: never, rules: []}}, fit: {{rules: [], grades: {{}}}}}}
stages: {{mql: {{engagement: {{gte: 40}}}}}}
"""
LINE = re.compile(r"^\| (\d{4}-\d\d-\d\d \d\d:\d\d) \| (\d{4}-\d\d-\d\d \d\d:\d\d) \| (.*?) ?\| (.+) \|$", re.MULTILINE)


def counted_in(words: str) -> timedelta:
    """`1 h 30 min` as a duration; nothing is none."""
    amounts = {unit: int(number) for number, unit in re.findall(r"(\d+) (h|min)", words)}
    return timedelta(hours=amounts.get("h", 0), minutes=amounts.get("min", 0))


def test_the_worked_example_is_what_the_calendar_finds() -> None:
    calendar_text = re.search(r"```yaml\n(calendar:.*?)```", PAGE, re.DOTALL)
    within = re.search(r"due within `(\d+)h`", PAGE)
    lines = LINE.findall(PAGE)
    assert calendar_text
    assert within
    assert len(lines) == 9
    calendar = compile_accord(load_accord(ACCORD.format(calendar=calendar_text[1])), 1).calendar
    told = [
        (*(datetime.fromisoformat(at).replace(tzinfo=calendar.zone) for at in (from_, to)), counted_in(counted), why)
        for from_, to, counted, why in lines
    ]
    start, deadline = told[0][0], told[-1][1]
    assert calendar.deadline(start, timedelta(hours=int(within[1]))) == deadline
    found = [
        (piece.from_, piece.to, piece.to - piece.from_ if piece.counted else timedelta(0), piece.why)
        for piece in calendar.working(start, deadline)
    ]
    assert told == found
    assert f"{deadline:%A}, {deadline.day} {deadline:%B %Y}, at {deadline:%H:%M}" in PAGE
    assert f"{start:%A}, {start.day} {start:%B %Y}, at {start:%H:%M}" in PAGE
