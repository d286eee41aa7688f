"""A small accord, and what is wrong with others."""

import pytest

from shared.agreement.loading import InvalidAccord, load_accord

MINIMAL = """\
accord: 1
name: Small
calendar:
  timezone: Europe/Oslo
  hours: {mon: ["09:00-17:00"]}
scoring: {}
stages:
  mql: {engagement: {gte: 40}}
"""


def problems_of(text: str) -> list[tuple[str, int | None]]:
    with pytest.raises(InvalidAccord) as refused:
        load_accord(text)
    return [(problem.path, problem.line) for problem in refused.value.problems]
