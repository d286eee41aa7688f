"""The life of a version, step by step, with the reason of every refusal."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.agreement.life import (
    NOTICE,
    Person,
    Refusal,
    RefusalReason,
    Shelf,
    Signing,
    Version,
    refuse_proposal,
    refuse_withdrawal,
    sign,
)

NOW = datetime(2026, 11, 30, 15, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MARY, SAM = Person("k1", "marketing"), Person("k2", "sales")
SHELF = Shelf(None, 1, datetime(1970, 1, 1, tzinfo=UTC), b"one")
PROPOSED = Version(2, "proposed", proposed_by="k9")


def reason(outcome: Refusal | Signing | None) -> RefusalReason | None:
    return outcome.reason if isinstance(outcome, Refusal) else None


def test_the_second_signature_schedules_the_version_ten_seconds_ahead() -> None:
    assert sign(PROPOSED, SAM, None, shelf=SHELF, now=NOW) == Signing("sales", False, None)
    half = Version(2, "proposed", signed_by=(SAM,))
    assert sign(half, MARY, None, shelf=SHELF, now=NOW) == Signing("marketing", True, NOW + NOTICE)
    assert timedelta(seconds=10) == NOTICE


@given(
    proposed=st.none() | st.integers(-100, 100),
    first=st.none() | st.integers(-100, 100),
    second=st.none() | st.integers(-100, 100),
    newest=st.integers(-100, 100),
)
def test_what_is_scheduled_comes_after_its_notice_and_after_every_signed_version(
    proposed: int | None, first: int | None, second: int | None, newest: int
) -> None:
    def at(seconds: int | None) -> datetime | None:
        return None if seconds is None else NOW + seconds * SECOND

    shelf = Shelf(None, 1, NOW + newest * SECOND, b"one")
    begun = sign(Version(2, "proposed", at(proposed)), MARY, at(first), shelf=shelf, now=NOW)
    if isinstance(begun, Refusal):
        assert first is not None
        assert first < 10 or first <= newest
        return
    done = sign(Version(2, "proposed", begun.effective_at, None, (MARY,)), SAM, at(second), shelf=shelf, now=NOW)
    given_last = next((value for value in (second, first, proposed) if value is not None), 10)
    if given_last < 10:
        assert reason(done) is RefusalReason.TOO_EARLY
    elif given_last <= newest:
        assert reason(done) is RefusalReason.BEFORE_ANOTHER
    else:
        assert done == Signing("sales", True, at(given_last))


@pytest.mark.parametrize(
    ("version", "person", "expected"),
    [
        (Version(2, "scheduled"), MARY, RefusalReason.NOT_PROPOSED),
        (Version(2, "effective"), MARY, RefusalReason.NOT_PROPOSED),
        (Version(1, "superseded"), MARY, RefusalReason.NOT_PROPOSED),
        (Version(2, "withdrawn"), MARY, RefusalReason.NOT_PROPOSED),
        (PROPOSED, Person("k3", "admin"), RefusalReason.NO_SIDE),
        (PROPOSED, Person("k3", "operations"), RefusalReason.NO_SIDE),
        (Version(2, "proposed", signed_by=(MARY,)), MARY, RefusalReason.SIDE_HAS_SIGNED),
        (Version(2, "proposed", signed_by=(MARY,)), Person("k3", "marketing"), RefusalReason.SIDE_HAS_SIGNED),
        (Version(2, "proposed", signed_by=(MARY,)), Person("k1", "sales"), RefusalReason.SAME_PERSON),
    ],
)
def test_a_signature_is_refused_with_its_reason_and_with_what_is_allowed(
    version: Version, person: Person, expected: RefusalReason
) -> None:
    refusal = sign(version, person, None, shelf=SHELF, now=NOW)
    assert reason(refusal) is expected
    assert isinstance(refusal, Refusal)
    assert "Allowed: " in refusal.words


def test_who_signs_a_second_time_is_told_which_side_is_missing() -> None:
    refusal = sign(Version(2, "proposed", signed_by=(MARY,)), MARY, None, shelf=SHELF, now=NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.words == "Marketing has signed version 2 already. Allowed: a signature of sales."


def test_a_proposal_is_refused_beside_an_open_one_and_when_nothing_changes() -> None:
    assert refuse_proposal(b"two", None, SHELF, NOW) is None
    assert reason(refuse_proposal(b"one", None, SHELF, NOW)) is RefusalReason.NO_CHANGE
    open_ = Shelf(2, 1, SHELF.newest_effective_at, b"one")
    assert reason(refuse_proposal(b"two", None, open_, NOW)) is RefusalReason.OPEN_PROPOSAL
    assert reason(refuse_proposal(b"two", NOW + 9 * SECOND, SHELF, NOW)) is RefusalReason.TOO_EARLY
    assert refuse_proposal(b"two", NOW + NOTICE, SHELF, NOW) is None


def test_either_side_admin_and_who_proposed_may_withdraw_and_nobody_else() -> None:
    for person in (MARY, SAM, Person("k3", "admin"), Person("k9", "operations")):
        assert refuse_withdrawal(PROPOSED, person) is None
    assert reason(refuse_withdrawal(PROPOSED, Person("k3", "operations"))) is RefusalReason.NO_SIDE
    assert reason(refuse_withdrawal(Version(2, "scheduled"), MARY)) is RefusalReason.NOT_PROPOSED
