"""What one lead is worth after this and that, under the example accord."""

import json
from collections.abc import Sequence

import msgspec
import pytest
from line_builders import accords_of, activity, after, example_accord, lead, profile

from services.scoring.model import Decision, Input, WithheldReason, apply, fold, instant, may_need_older
from shared.agreement.decay import RuleTotal, engagement_at
from shared.events.activity import UNNAMED_SOURCE
from shared.events.codec import encode
from shared.events.score import ScoreChanged

ACCORD = example_accord()


def folded(*items: Input) -> list[Decision]:
    return list(fold([(item.id, item, item.received_at) for item in items], accords_of(ACCORD)))


def last(*items: Input) -> Decision:
    return folded(*items)[-1]


def words(decision: Decision) -> Sequence[tuple[str, float]]:
    return [(reason["words"], reason["points"]) for reason in decision.score["reasons"]]


def test_a_grant_loses_half_its_worth_in_one_half_life() -> None:
    demo = activity("demo.requested", after())
    later = profile(after(days=14), country="US")
    assert last(demo).state.engagement == 60
    assert last(demo, later).state.engagement == pytest.approx(30, abs=1e-9)


def test_a_negative_grant_never_takes_the_engagement_below_zero() -> None:
    decision = last(activity("email.unsubscribed", after()))
    assert decision.state.engagement == 0
    assert decision.grants[0]["points"] == -30


def test_the_cap_holds_however_much_a_lead_does() -> None:
    assert last(*(activity("demo.requested", after(), n=n) for n in range(5))).state.engagement == 200


def test_once_is_once_in_a_lifetime() -> None:
    first, second = folded(*(activity("email.unsubscribed", after(days=400 * n)) for n in range(2)))
    assert [first.grants[0]["points"], second.grants[0]["points"]] == [-30, 0]
    assert second.grants[0] == {"rule": "unsubscribed", "points": 0, "withheld": -30, "why": WithheldReason.ONCE}


def test_a_limit_withholds_what_goes_beyond_it() -> None:
    decisions = folded(*(activity("survey.completed", after(days=n)) for n in range(3)))
    assert [d.grants[0]["points"] for d in decisions] == [15, 15, 0]
    assert [d.grants[0]["why"] for d in decisions] == [None, None, WithheldReason.AT_MOST]


@pytest.mark.parametrize(("apart", "granted"), [({"days": 90}, 15), ({"days": 90, "microseconds": -1}, 0)])
def test_a_grant_exactly_one_period_away_no_longer_counts(apart: dict[str, float], granted: int) -> None:
    full = [activity("survey.completed", after(), n=n) for n in range(2)]
    assert last(*full, activity("survey.completed", after(**apart))).grants[0]["points"] == granted
    # The same, looking forward from an event that comes late.
    other_way = [activity("survey.completed", after(**apart), n=n) for n in range(2)]
    late = activity("survey.completed", after(), received_at=after(**apart))
    assert last(*other_way, late).grants[0]["points"] == granted


@pytest.mark.parametrize(("apart", "granted"), [({"days": 90}, 15), ({"days": 90, "microseconds": -1}, 0)])
def test_a_forgotten_grant_counts_to_the_last_microsecond_of_its_period(apart: dict[str, float], granted: int) -> None:
    full = [activity("survey.completed", after(), n=n) for n in range(2)]
    forgets = activity("survey.completed", after(days=150))
    late = activity("survey.completed", after(**apart), received_at=after(days=150))
    assert last(*full, forgets, late).grants[0]["points"] == granted
    # The same, looking forward: what is forgotten spends one half, what is one period away the other.
    forgotten = activity("survey.completed", after(days=-1))
    reached = activity("survey.completed", after(**apart), received_at=after(days=150))
    late = activity("survey.completed", after(), received_at=after(days=150))
    assert last(forgotten, reached, late).grants[0]["points"] == granted


@pytest.mark.parametrize(
    ("apart", "granted"), [({"days": 0}, 0), ({"days": 14}, 20), ({"days": 14, "microseconds": 1}, 0)]
)
def test_a_forgotten_activity_is_followed_to_the_last_microsecond_and_not_at_its_own_time(
    apart: dict[str, float], granted: int
) -> None:
    downloads = [activity("whitepaper.downloaded", after(days=day)) for day in (0, 40)]
    late = activity("cta.completed", after(**apart), received_at=after(days=40))
    assert {g["rule"]: g["points"] for g in last(*downloads, late).grants}["whitepaper-then-cta"] == granted


def test_an_event_at_the_horizon_reaches_as_far_back_as_its_rule_says_without_what_is_forgotten() -> None:
    state = last(*(activity("whitepaper.downloaded", after(days=day)) for day in (0, 15))).state
    cta = activity("cta.completed", after(days=14), received_at=after(days=15))
    decision = apply(state, cta, received_at=cta.received_at, accord=ACCORD)
    assert {g["rule"]: g["points"] for g in decision.grants}["whitepaper-then-cta"] == 20


def test_an_event_asks_for_what_is_forgotten_only_when_it_comes_so_late_that_a_rule_may_need_it() -> None:
    def asks(item: Input) -> bool:
        return may_need_older(item, received_at=after(), as_of=instant(after()), accord=ACCORD)

    at_the_horizon, beyond = after(days=-1), after(days=-1, microseconds=-1)
    assert asks(activity("survey.completed", beyond, received_at=after())), "a limit"
    assert asks(activity("cta.completed", beyond, received_at=after())), "a precondition"
    assert not asks(activity("survey.completed", at_the_horizon, received_at=after()))
    assert not asks(activity("survey.completed", after()))
    assert not asks(activity("demo.requested", beyond, received_at=after())), "its rule remembers nothing"
    assert not asks(profile(beyond, received_at=after(), title="CEO"))


def test_a_late_event_follows_the_one_of_many_that_it_can_reach() -> None:
    downloads = [activity("whitepaper.downloaded", after(days=day)) for day in (0, 7, 14.5)]
    cta = activity("cta.completed", after(days=14.25), received_at=after(days=14.5))
    follows = {g["rule"]: g["points"] for g in last(*downloads, cta).grants}
    assert follows["whitepaper-then-cta"] == 20


def test_a_late_event_counts_the_grants_after_it_too() -> None:
    on_time = [activity("survey.completed", after(days=n)) for n in (1, 2)]
    late = activity("survey.completed", after(), received_at=after(days=3))
    assert last(*on_time, late).grants[0]["points"] == 0


def test_a_rule_that_follows_another_activity_grants_only_after_it() -> None:
    download = activity("whitepaper.downloaded", after())
    cta = activity("cta.completed", after(days=14))
    too_late = activity("cta.completed", after(days=14, seconds=1))
    assert {g["rule"]: g["points"] for g in last(download, cta).grants} == {"cta": 8, "whitepaper-then-cta": 20}
    missed = {g["rule"]: (g["points"], g["why"]) for g in last(download, too_late).grants}
    assert missed["whitepaper-then-cta"] == (0, WithheldReason.AFTER)


def test_an_event_from_the_future_counts_as_received() -> None:
    decision = last(activity("demo.requested", after(days=5), received_at=after()))
    assert decision.state.engagement == 60
    assert decision.score["as_of"] == after()


def test_the_value_that_occurred_last_wins_whenever_it_comes() -> None:
    newer = profile(after(hours=2), title="CEO", industry="software")
    older = profile(after(hours=1), received_at=after(hours=3), title="Intern", country="US")
    state = last(newer, older).state
    assert state.profile == {"title": "CEO", "industry": "software", "country": "US"}
    assert (state.fit, state.grade) == (50, "A")


def test_null_removes_a_field_and_an_older_value_does_not_bring_it_back() -> None:
    known, removed = profile(after(), title="CEO"), profile(after(hours=2), title=None)
    older = profile(after(hours=1), received_at=after(hours=3), title="CTO")
    assert last(known, removed).state.profile == {}
    assert last(known, removed, older).state.profile == {}


def test_a_number_that_becomes_true_is_a_new_value() -> None:
    state = last(profile(after(), employees=1), profile(after(hours=1), employees=True)).state
    assert json.dumps(state.profile) == '{"employees": true}'


def test_the_first_activity_stays_first_and_the_latest_campaign_is_the_latest_that_there_was() -> None:
    first = activity("page.viewed", after(), source="fair", campaign="expo", team="sales")
    second = activity("page.viewed", after(hours=1), source="web", campaign=None)
    told = last(first, second).score["lead"]
    assert (told["first_source"], told["first_team"], told["source"], told["campaign"]) == (
        "fair",
        "sales",
        "web",
        "expo",
    )


def test_the_first_activity_is_the_first_source_although_the_lead_was_known_before() -> None:
    known = profile(after(), title="CEO")
    first, second = (activity("page.viewed", after(hours=n), source=source) for n, source in ((1, "fair"), (2, "web")))
    leads = [decision.score["lead"] for decision in folded(known, first, second)]
    assert [told["first_source"] for told in leads] == [None, "fair", "fair"]
    assert [told["source"] for told in leads] == [None, "fair", "web"]
    assert (leads[0]["campaign"], leads[0]["first_team"]) == (None, None)


def test_an_activity_that_names_no_source_leaves_the_one_that_was_named() -> None:
    sources = (UNNAMED_SOURCE, "fair", UNNAMED_SOURCE, "web", UNNAMED_SOURCE)
    done = [activity("page.viewed", after(hours=n), source=source) for n, source in enumerate(sources)]
    told = [decision.score["lead"]["source"] for decision in folded(*done)]
    assert told == [UNNAMED_SOURCE, "fair", "fair", "web", "web"]


def test_the_email_is_the_last_that_came_with_an_event() -> None:
    first = activity("page.viewed", after())
    nameless = activity("page.viewed", after(hours=1), identifiers={"anonymous_id": "a"})
    other = activity("page.viewed", after(hours=2), identifiers={"email": "ada@other.example"})
    emails = [decision.state.email for decision in folded(nameless, first, nameless, other, nameless)]
    assert emails == [None, "ada@maker.example", "ada@maker.example", "ada@other.example", "ada@other.example"]


def test_the_fit_follows_the_email_that_an_activity_brings() -> None:
    emails = (None, "ada@gmail.com", "ada@maker.example")
    identifiers = [{"anonymous_id": "a"} if email is None else {"email": email} for email in emails]
    views = [activity("page.viewed", after(hours=n), identifiers=known) for n, known in enumerate(identifiers)]
    assert [(decision.state.fit, decision.state.grade) for decision in folded(*views)] == [
        (0, "D"),
        (-15, "D"),
        (0, "D"),
    ]


def test_reasons_are_the_five_that_weigh_most_in_words() -> None:
    title = profile(after(), title="VP Sales", employees=5000, industry="software")
    scans = [activity("tradeshow.scanned", after(), n=n, data={"interest": "demo"}) for n in range(2)]
    decision = last(title, *scans, activity("demo.requested", after()))
    found = words(decision)
    assert len(found) == 5
    assert found[0] == ("demo requested", 60.0)
    assert ("decision maker", 30.0) in found
    assert any(text.endswith("×2") and points == 50 for text, points in found)
    assert [abs(points) for _, points in found] == sorted((abs(points) for _, points in found), reverse=True)


def test_a_score_is_told_even_if_nothing_changed() -> None:
    first, second = folded(activity("email.opened", after()), activity("email.opened", after(), n=1))
    assert [first.score["version"], second.score["version"]] == [1, 2]
    assert [first.state.number, second.state.number] == [1, 2]
    assert not second.score["changed"]


def test_the_score_that_is_encoded_is_a_valid_score_changed() -> None:
    decision = last(profile(after(), title="CEO"), activity("demo.requested", after(hours=1)))
    score = msgspec.json.decode(encode({"lead_id": lead("ada"), **decision.score}), type=ScoreChanged)
    assert score.activity_received_at == after(hours=1)
    assert set(ScoreChanged.__struct_fields__) == {"lead_id", "historical", *decision.score}
    assert score.grants[0].points == 60
    assert (score.lead.email, score.lead.profile) == ("ada@maker.example", {"title": "CEO"})


def test_only_a_score_that_comes_from_a_historical_event_says_so() -> None:
    demo = activity("demo.requested", after(days=-14), received_at=after())
    told = last(msgspec.structs.replace(demo, historical=True))
    assert told.score["historical"] is True
    assert told.state.engagement == pytest.approx(30, abs=1e-9), "what it is worth today"
    assert "historical" not in last(demo).score


def test_the_totals_of_a_state_decay_as_the_agreement_says() -> None:
    decision = last(*(activity(kind, after(hours=n)) for n, kind in enumerate(["demo.requested", "page.viewed"] * 3)))
    totals = {
        rule: RuleTotal(worth, after() + (at - _MICROSECONDS_AT_START) * _MICROSECOND, count)
        for rule, (worth, at, count) in decision.state.totals.items()
    }
    assert engagement_at(totals, ACCORD, after(hours=5)) == pytest.approx(decision.state.engagement, abs=1e-9)


def test_an_event_that_is_too_late_is_refused_without_the_older_grants() -> None:
    events = [activity("page.viewed", after(days=n)) for n in range(0, 40, 4)]
    state = last(*events).state
    late = activity("page.viewed", after(days=20), received_at=after(days=40))
    with pytest.raises(LookupError):
        apply(state, late, received_at=late.received_at, accord=ACCORD)


_MICROSECOND = (after(seconds=1) - after()) / 1_000_000
_MICROSECONDS_AT_START = int(after().timestamp()) * 1_000_000
