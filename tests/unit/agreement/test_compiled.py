"""What a compiled accord decides, on the packaged document."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared.agreement.clocks import clocks_starting, elapsed, moment
from shared.agreement.compiled import CompiledAccord, compile_accord
from shared.agreement.loading import default_accord_text, load_accord
from shared.agreement.versions import Accords
from shared.events.base import LeadSnapshot

NEW_YORK = ZoneInfo("America/New_York")
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def accord() -> CompiledAccord:
    return compile_accord(load_accord(default_accord_text()), 1)


def facts(accord: CompiledAccord, email: str | None = "ann@Acme.example", **changes: Any) -> dict[str, Any]:
    profile = changes.pop("profile", {})
    lead = LeadSnapshot(email=email, profile=profile, source="web", campaign="spring", first_source="fair")
    values: dict[str, Any] = {"engagement": 0.0, "fit": 0, "grade": "D", "stage": "lead", "owner": None}
    return accord.facts(**{**values, **changes}, lead=lead)


def test_rules_are_found_by_activity_with_the_default_half_life_filled_in(accord: CompiledAccord) -> None:
    assert [rule.id for rule in accord.rules_for("page.viewed")] == ["page-view", "pricing-page"]
    assert accord.rules_for("nothing.known") == ()
    assert accord.rule("page-view").half_life == timedelta(days=30)
    assert accord.rule("demo").half_life == timedelta(days=14)
    assert accord.rule("unsubscribed").half_life is None
    assert accord.rule("unsubscribed").once
    assert accord.rule("page-view").at_most == (5, timedelta(days=1))
    assert accord.rule("pricing-page").matches({"path": "/Pricing/plans"})
    assert not accord.rule("pricing-page").matches({})


def test_rules_have_words(accord: CompiledAccord) -> None:
    assert accord.rule("demo").words == "demo requested"
    assert accord.rule("pricing-page").words == "page viewed (pricing page)"
    assert accord.fit_words("decision-maker") == "decision maker"
    assert accord.fit_words("decision_maker") == "decision maker"


def test_the_rules_that_wait_for_an_activity_are_found_by_it(accord: CompiledAccord) -> None:
    [rule] = accord.preconditions_for("whitepaper.downloaded")
    assert rule.id == "whitepaper-then-cta"
    assert rule.after is not None
    assert rule.after.within == timedelta(days=14)
    assert rule.after.matches({})


def test_fit_is_the_sum_of_the_rules_that_hold(accord: CompiledAccord) -> None:
    fit = accord.fit({"title": "VP Sales", "employees": 1000, "industry": "Software"}, "a@acme.example")
    assert fit == (80, (("decision-maker", 30), ("enterprise", 30), ("our-industries", 20)), "A")
    assert accord.fit({"title": "Intern"}, "a@GMAIL.com") == (-65, (("student", -50), ("free-mail", -15)), "D")


@pytest.mark.parametrize(("fit", "grade"), [(50, "A"), (49, "B"), (30, "B"), (10, "C"), (9, "D"), (-5, "D")])
def test_the_grade_is_the_first_whose_threshold_is_reached(accord: CompiledAccord, fit: int, grade: str) -> None:
    assert accord.grade(fit) == grade


def test_domains_follow_from_the_email_and_a_free_one_names_no_company(accord: CompiledAccord) -> None:
    assert accord.derived({}, "a@Acme.Example") == {"email_domain": "acme.example", "company_domain": "acme.example"}
    assert accord.derived({}, "a@proton.me") == {"email_domain": "proton.me"}
    assert accord.derived({"title": "x"}, None) == {"title": "x"}


def test_a_profile_cannot_pose_as_the_leads_own_facts(accord: CompiledAccord) -> None:
    posed = facts(accord, profile={"engagement": 999, "fit": 99, "grade": "A", "stage": "customer", "title": "x"})
    assert (posed["engagement"], posed["grade"], posed["stage"], posed["title"]) == (0.0, "D", "lead", "x")
    assert posed["fit"] == 0
    assert facts(accord, profile={"owner": "x"}, owner="ada")["owner"] == "ada"
    assert (posed["source"], posed["campaign"], posed["first_source"]) == ("web", "spring", "fair")


@pytest.mark.parametrize(
    ("engagement", "grade", "is_mql"), [(40, "B", True), (39.999, "A", False), (69, "C", False), (70, "D", True)]
)
def test_a_lead_qualifies_by_the_agreed_condition(
    accord: CompiledAccord, engagement: float, grade: str, is_mql: bool
) -> None:
    assert accord.is_mql(facts(accord, engagement=engagement, grade=grade)) is is_mql


def test_rejection_reasons_say_where_the_lead_goes(accord: CompiledAccord) -> None:
    assert accord.rejection("no_budget") == "recycled"
    assert accord.rejection("competitor") == "disqualified"
    assert accord.rejection("weather") is None
    assert accord.rejection(None) is None
    assert "bad_data" in accord.rejection_reasons
    assert accord.cool_down == timedelta(days=30)


def test_the_first_routing_rule_that_holds_names_the_team(accord: CompiledAccord) -> None:
    assert accord.team_for(facts(accord, profile={"employees": 1000})) == "enterprise"
    assert accord.team_for(facts(accord)) == "commercial"
    assert accord.manager("enterprise") == "em@sales.example"
    assert [owner.capacity for owner in accord.owners("enterprise")] == [20, None]
    assert accord.owners("nobody") == ()


def test_a_company_sticks_to_its_owner_and_free_mail_does_not(accord: CompiledAccord) -> None:
    assert accord.sticky_value(facts(accord)) == "acme.example"
    assert accord.sticky_value(facts(accord, email="a@gmail.com")) is None
    assert accord.sticky_value(facts(accord, email=None)) is None
    for nothing in ("gmail.com", " ", ["acme.example"]):
        assert accord.sticky_value({"company_domain": nothing}) is None


def test_owners_take_turns_smoothly_in_proportion_to_their_weights(accord: CompiledAccord) -> None:
    turns = [accord.owner_for_turn("enterprise", turn) for turn in range(6)]
    ada, grace = "ada@sales.example", "grace@sales.example"
    assert turns == [ada, grace, ada, ada, grace, ada]
    weights = "[{owner: a, weight: 5}, {owner: b}, {owner: c}]"
    text = default_accord_text().replace("[{owner: linus@sales.example}, {owner: barbara@sales.example}]", weights)
    weighted = compile_accord(load_accord(text), 2)
    # The sequence that nginx's own description gives for 5, 1, 1.
    assert "".join(weighted.owner_for_turn("commercial", turn) for turn in range(7)) == "aabacaa"
    assert Counter(weighted.owner_for_turn("commercial", turn) for turn in range(700))["a"] == 500
    with pytest.raises(LookupError):
        accord.owner_for_turn("nobody", 0)


def test_clocks_start_on_their_stage_if_their_condition_holds(accord: CompiledAccord) -> None:
    hot = clocks_starting(accord, "mql", facts(accord, grade="A"))
    assert [rule.id for rule in hot] == ["first-contact-hot", "accept-or-reject"]
    cool = clocks_starting(accord, "mql", facts(accord, grade="B"))
    assert [rule.id for rule in cool] == ["first-contact", "accept-or-reject"]
    assert clocks_starting(accord, "customer", facts(accord)) == ()


def test_the_moments_of_a_clock_are_shares_of_its_time_counted_the_same_way(accord: CompiledAccord) -> None:
    rule = accord.clock_rule("first-contact-hot")
    assert (rule.warn_at, [step.at for step in rule.escalate], rule.stops) == (0.75, [1.0, 2.0], ("contacted",))
    friday = datetime(2026, 3, 13, 15, 30, tzinfo=NEW_YORK)
    assert moment(accord, rule, friday, 1.0) == datetime(2026, 3, 16, 9, 30, tzinfo=NEW_YORK)
    assert moment(accord, rule, friday, 0.5) == datetime(2026, 3, 13, 16, tzinfo=NEW_YORK)
    assert elapsed(accord, rule, friday, friday + timedelta(days=3)) == 7 * HOUR
    always = accord.clock_rule("work-the-opportunity")
    assert moment(accord, always, friday, 1.0) == friday + timedelta(days=14)
    assert elapsed(accord, always, friday, friday + HOUR) == HOUR
    assert elapsed(accord, always, friday, friday - HOUR) == timedelta(0)


def test_the_version_that_applies_is_the_latest_in_effect_but_never_older_than_the_leads() -> None:
    document = load_accord(default_accord_text())
    start = datetime(2026, 3, 1, tzinfo=UTC)
    accords = Accords([(start + n * HOUR, compile_accord(document, n)) for n in (3, 1, 2)])
    assert accords.at(start - 99 * HOUR).version == 1
    assert accords.at(start + 2 * HOUR).version == 2
    assert accords.at(start + 2 * HOUR - timedelta(microseconds=1)).version == 1
    assert accords.at(start, at_least=3).version == 3
    assert accords.at(start + 9 * HOUR, at_least=1).version == 3
    assert accords.newest.version == 3
    assert accords.version(2).version == 2
    with pytest.raises(KeyError):
        accords.at(start, at_least=4)
    only = Accords([(start, compile_accord(document, 1))])
    assert only.at(start - HOUR, at_least=1).version == 1
    with pytest.raises(KeyError):
        only.at(start, at_least=4)


def test_a_version_knows_those_beside_it_in_the_order_of_effect() -> None:
    document = load_accord(default_accord_text())
    start = datetime(2026, 3, 1, tzinfo=UTC)
    accords = Accords([(start + n * HOUR, compile_accord(document, n)) for n in (3, 1, 2)])
    assert [accord.version for accord in accords.all] == [1, 2, 3]
    following = [accords.following(number) for number in (1, 2, 3)]
    assert [accord and accord.version for accord in following] == [2, 3, None]
    assert (accords.before(1), accords.before(3)) == ([], [1, 2])
    assert [accord.version for accord in accords.since(1, 3)] == [2, 3]
    assert not accords.since(3, 1)


@pytest.mark.parametrize(
    ("hour", "carried", "expected"), [(0, None, 1), (2, None, 2), (3, 1, 1), (3, 2, 2), (3, 3, 3), (1, 3, 1)]
)
def test_a_lead_has_reached_the_version_in_effect_but_none_that_it_was_not_rescored_under(
    hour: int, carried: int | None, expected: int
) -> None:
    document = load_accord(default_accord_text())
    start = datetime(2026, 3, 1, tzinfo=UTC)
    accords = Accords([(start + n * HOUR, compile_accord(document, n)) for n in (1, 2, 3)])
    assert accords.reached(start + hour * HOUR, carried).version == expected
