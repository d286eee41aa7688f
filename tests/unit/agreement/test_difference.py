"""The difference between two accords in words: every field of the document, and nothing but meaning."""

from copy import deepcopy
from typing import Any

import pytest
from agreement_builders import models
from difference_examples import DEFAULT, EXAMPLES, FULL
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shared.agreement.difference import differences
from shared.agreement.document import Accord
from shared.agreement.document_calendar import WEEKDAYS
from shared.agreement.loading import InvalidAccord, default_accord_text, load_accord, read_accord

# Compared member by member: what is added and removed has tests of its own below. The form has one value only.
TOLD_BY_THEIR_MEMBERS = {
    *("Accord.calendar", "Accord.scoring", "Accord.stages", "Accord.routing", "Accord.sla", "Accord.accord"),
    *("Calendar.hours", "Calendar.holidays", "Scoring.engagement", "Scoring.fit", "Engagement.rules", "Fit.rules"),
    *("Fit.grades", "Routing.rules", "Clock.escalate", "Sla.clocks", "Sla.promises"),
    *("EngagementRule.id", "FitRule.id", "Clock.id", "Promise.id", "TeamOwner.owner"),
}


def with_value(path: str, value: Any) -> Accord:
    document = deepcopy(FULL)
    *around, last = path.split(".")
    place: Any = document
    for step in around:
        place = place[int(step) if isinstance(place, list) else step]
    place[int(last) if isinstance(place, list) else last] = value
    return read_accord(document)


def words(before: Accord, after: Accord) -> list[str]:
    return [change.words for change in differences(before, after)]


def test_every_field_of_every_model_has_an_example() -> None:
    fields = {f"{kind.__name__}.{field}" for kind in models(Accord) for field in kind.model_fields}
    assert "AfterActivity.within" in fields
    assert "TeamOwner.weight" in fields
    assert fields == {*EXAMPLES, *TOLD_BY_THEIR_MEMBERS}


@pytest.mark.parametrize("field", EXAMPLES)
def test_a_change_of_any_field_is_told_in_words(field: str) -> None:
    path, value, expected = EXAMPLES[field]
    before, after = read_accord(FULL), with_value(path, value)
    told = words(before, after)
    assert told[0] == expected
    # Holidays of another country have no part of the same name, so that one is told too.
    assert len(told) == (3 if field == "Holidays.country" else 1)
    assert len(words(after, before)) == len(told)
    assert words(after, after) == []


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        (
            "      - {id: cta, activity: cta.completed, points: 8}\n",
            "",
            ["cta: removed"],
        ),
        (
            "      - {id: cta,",
            "      - {id: chat, activity: chat.started, where: {pages: {gte: 3}}, points: 4, half_life: never, "
            "once: true}\n"
            "      - {id: cta,",
            ["chat: added, for chat.started, where pages at least 3, 4 points, half-life never, once per lead: yes"],
        ),
        (
            "    - {team: commercial}",
            "    - {when: {country: NO}, team: enterprise}\n    - {team: commercial}",
            ["routing rule 2: added, when country is NO to team enterprise"],
        ),
        (
            "    - {when: {employees: {gte: 1000}}, team: enterprise}\n",
            "",
            ["routing rule 1: removed (when employees at least 1000 to team enterprise)"],
        ),
        (
            "[{at: 100%, to: owner}, {at: 200%, to: manager, then: reassign}]",
            "[{at: 200%, to: manager, then: reassign}]",
            ["first-contact-hot: escalation 1: removed (at 100%, tell the owner)"],
        ),
        (
            "[{owner: linus@sales.example}, {owner: barbara@sales.example}]",
            "[{owner: barbara@sales.example}, {owner: linus@sales.example}, {owner: eve}]",
            [
                "team commercial: eve: added",
                "team commercial: turns in the order barbara@sales.example, linus@sales.example, eve",
            ],
        ),
        ("    bad_data: disqualified\n", "", ["rejection reason bad_data: removed"]),
        ("  recycle:\n    cool_down: 30d\n", "", ["recycled leads rest 30 d → recycled leads don't rest"]),
        (
            "    - {id: hot-leads-per-week, of: marketing, counts: mql, when: {grade: {in: [A]}}, at_least: 20, "
            "per: week}\n",
            "",
            ["hot-leads-per-week: removed"],
        ),
    ],
)
def test_what_is_added_or_removed_is_told_whole(right: str, wrong: str, told: list[str]) -> None:
    text = default_accord_text()
    assert right in text
    assert words(load_accord(text), load_accord(text.replace(right, wrong, 1))) == told


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("within: 1h", "within: 60m"),
        ("cool_down: 30d", "cool_down: 720h"),
        ("  sticky: company_domain\n", "  sticky:   company_domain\n"),
        (
            "      - {id: cta, activity: cta.completed, points: 8}\n",
            "      - {points: 8, id: cta, once: false, activity: cta.completed}\n",
        ),
        ("stops: [opportunity.opened, disqualified, recycled]", "stops: [recycled, disqualified, opportunity.opened]"),
        (
            "[gmail.com, yahoo.com, outlook.com, hotmail.com, icloud.com, proton.me]",
            "[yahoo.com, gmail.com, outlook.com, hotmail.com, icloud.com, proton.me]",
        ),
        (
            "[{at: 100%, to: owner}, {at: 200%, to: manager, then: reassign}]",
            "[{at: 200%, to: manager, then: reassign}, {at: 100.0%, to: owner}]",
        ),
    ],
)
def test_what_is_only_written_differently_is_no_difference(right: str, wrong: str) -> None:
    text = default_accord_text()
    assert right in text
    assert words(load_accord(text), load_accord(text.replace(right, wrong))) == []


def test_rules_in_another_order_are_no_difference() -> None:
    document = deepcopy(DEFAULT)
    for rules in (document["scoring"]["engagement"]["rules"], document["scoring"]["fit"]["rules"]):
        rules.reverse()
    document["sla"]["clocks"].reverse()
    assert words(read_accord(DEFAULT), read_accord(document)) == []


def test_a_half_life_left_out_differs_from_never_also_where_never_is_the_default() -> None:
    document = deepcopy(DEFAULT)
    del document["scoring"]["engagement"]["half_life"]
    before = read_accord(document)
    document["scoring"]["engagement"]["rules"][0]["half_life"] = "never"
    assert words(before, read_accord(document)) == ["page-view: half-life the default → never"]


def test_of_a_long_list_only_what_came_and_went_is_shown() -> None:
    document = deepcopy(DEFAULT)
    document["routing"]["free_mail"] += [f"mail{number}.example" for number in range(40)]
    (told,) = words(read_accord(DEFAULT), read_accord(document))
    assert told.startswith("free-mail domains added mail0.example, mail1.example, ")
    assert told.endswith("mail11.example, 28 more")


@settings(max_examples=20, deadline=None)
@given(chosen=st.lists(st.sampled_from(sorted(EXAMPLES)), unique=True, max_size=4))
def test_changes_of_several_fields_are_told_each(chosen: list[str]) -> None:
    document = deepcopy(FULL)
    for field in chosen:
        path, value, _ = EXAMPLES[field]
        *around, last = path.split(".")
        place: Any = document
        try:
            for step in around:
                place = place[int(step) if isinstance(place, list) else step]
            place[int(last) if isinstance(place, list) else last] = value
        except (KeyError, TypeError):
            assume(False)  # one of the others took away what this one stands in
    try:
        after = read_accord(document)
    except InvalidAccord:
        assume(False)  # two of them together are no accord
        raise
    told = differences(read_accord(FULL), after)
    assert bool(told) == bool(chosen)
    assert len({change.path for change in told}) == len(told)


def test_every_weekday_has_its_name() -> None:
    for weekday in WEEKDAYS:
        (told,) = words(read_accord(FULL), with_value(f"calendar.hours.{weekday}", ["01:00-02:00"]))
        assert told.split()[0].lower().startswith(weekday)


def test_the_order_in_which_a_condition_is_written_is_no_difference() -> None:
    def accord(where: dict[str, Any], industries: list[str]) -> Accord:
        document = deepcopy(FULL)
        after = {"activity": "a.b", "where": where, "within": "1d"}
        document["scoring"]["engagement"]["rules"] = [
            {"id": "x", "activity": "a.c", "points": 1, "where": where, "after": after}
        ]
        document["routing"]["rules"] = [{"when": {"industry": {"in": industries}, **where}, "team": "enterprise"}]
        return read_accord(document)

    one = accord({"employees": {"gte": 50, "lt": 1000}, "country": "NO"}, ["software", "retail"])
    other = accord({"country": "NO", "employees": {"lt": 1000, "gte": 50}}, ["retail", "software"])
    assert words(one, other) == []


def test_what_is_too_long_to_be_shown_whole_is_a_difference_all_the_same() -> None:
    def accord(last: str) -> Accord:
        document = deepcopy(FULL)
        countries = [f"country {number}" for number in range(20)]
        document["routing"]["rules"] = [{"when": {"country": {"in": [*countries, last]}}, "team": "enterprise"}]
        return read_accord(document)

    assert len(words(accord("here"), accord("there"))) == 1
