"""The life of a version (ACCORD.md "Versions, signatures, effect"): proposed, signed by marketing and by sales,
scheduled, in effect, superseded; or withdrawn before both have signed. Each step is decided here, with a reason. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

SIDES: Final = ("marketing", "sales")
# Every step reads the signed versions in its own transaction; this is the time in which the second signature must be
# committed so that no event could be decided under the version before it.
NOTICE: Final = timedelta(seconds=10)


class RefusalReason(StrEnum):
    """Why a step in the life of a version is refused."""

    OPEN_PROPOSAL = "open_proposal"
    NO_CHANGE = "no_change"
    TOO_EARLY = "too_early"
    BEFORE_ANOTHER = "before_another_version"
    NO_SIDE = "no_side"
    SIDE_HAS_SIGNED = "side_has_signed"
    SAME_PERSON = "same_person"
    NOT_PROPOSED = "not_proposed"


@dataclass(frozen=True, slots=True)
class Refusal:
    """`words` say what is so, and what is allowed."""

    reason: RefusalReason
    words: str


class Person(NamedTuple):
    """Who acts: the holder of a key."""

    key_id: str
    role: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version as it stands; `state` as of now. Of those in `signed_by` the role is the side they signed for."""

    number: int
    state: str
    effective_at: datetime | None = None
    proposed_by: str | None = None
    signed_by: Sequence[Person] = ()


@dataclass(frozen=True, slots=True)
class Shelf:
    """What is on file: the number of the open proposal, and the newest version that is signed."""

    proposed: int | None
    newest: int
    newest_effective_at: datetime
    newest_sha256: bytes


class Signing(NamedTuple):
    """What a signature does: the second one schedules the version; until then `effective_at` may be open."""

    side: str
    is_scheduled: bool
    effective_at: datetime | None


def refuse_proposal(sha256: bytes, effective_at: datetime | None, shelf: Shelf, now: datetime) -> Refusal | None:
    """Why a document can't become the next proposal; None if it can."""
    if shelf.proposed is not None:
        words = (
            f"Version {shelf.proposed} is proposed already, and one proposal at a time is decided. Allowed: both sides "
            f"sign version {shelf.proposed}, or either withdraws it; then propose again."
        )
        return Refusal(RefusalReason.OPEN_PROPOSAL, words)
    if sha256 == shelf.newest_sha256:
        words = (
            f"The document is that of version {shelf.newest}, whatever its layout: there is nothing to agree on. "
            "Allowed: a document that differs from it."
        )
        return Refusal(RefusalReason.NO_CHANGE, words)
    return None if effective_at is None else _refuse_time(effective_at, shelf, now)


def sign(
    version: Version, person: Person, effective_at: datetime | None, *, shelf: Shelf, now: datetime
) -> Signing | Refusal:
    """What this person's signature does now. The time given last counts; without any, the earliest there is."""
    refusal = refuse_signer(version, person)
    if refusal is not None:
        return refusal
    is_second = bool(version.signed_by)
    starts_at = effective_at or version.effective_at or (now + NOTICE if is_second else None)
    # A time that was given before may have passed meanwhile: that matters, and is said, at the second signature.
    if starts_at is not None and (effective_at is not None or is_second):
        refusal = _refuse_time(starts_at, shelf, now)
    return refusal or Signing(person.role, is_second, starts_at)


def refuse_withdrawal(version: Version, person: Person) -> Refusal | None:
    """Why this person can't withdraw the version; None if they can. Role admin keeps house, and may too."""
    if version.state != "proposed":
        return _not_proposed(version, "withdrawn")
    if person.role not in (*SIDES, "admin") and person.key_id != version.proposed_by:
        words = (
            f"This key is of role {person.role}. Allowed to withdraw a proposal: a key of role marketing, sales or "
            "admin, and the key that proposed it."
        )
        return Refusal(RefusalReason.NO_SIDE, words)
    return None


def refuse_signer(version: Version, person: Person) -> Refusal | None:
    """Why this person can't sign the version, whatever time they give; None if they can."""
    if version.state != "proposed":
        return _not_proposed(version, "signed")
    if person.role not in SIDES:
        words = (
            f"This key is of role {person.role}. A signature is of role marketing or sales, and no scope replaces the "
            "role. Allowed: a key of that role with the scope accord:sign."
        )
        return Refusal(RefusalReason.NO_SIDE, words)
    if any(signer.role == person.role for signer in version.signed_by):
        other = next(side for side in SIDES if side != person.role)
        words = (
            f"{person.role.capitalize()} has signed version {version.number} already. Allowed: a signature of {other}."
        )
        return Refusal(RefusalReason.SIDE_HAS_SIGNED, words)
    if any(signer.key_id == person.key_id for signer in version.signed_by):
        words = (
            f"This key has signed version {version.number} for {version.signed_by[0].role}, and one person does not "
            f"sign for both sides. Allowed: the signature of another key of role {person.role}."
        )
        return Refusal(RefusalReason.SAME_PERSON, words)
    return None


def _not_proposed(version: Version, done: str) -> Refusal:
    allowed = {
        "scheduled": "propose a new version; both sides have signed this one",
        "effective": "propose a new version; both sides have signed this one",
        "superseded": "propose a new version with this document to go back to it",
        "withdrawn": "propose the document again as a new version",
    }[version.state]
    words = f"Version {version.number} is {version.state}, and only a proposal can be {done}. Allowed: {allowed}."
    return Refusal(RefusalReason.NOT_PROPOSED, words)


def _refuse_time(effective_at: datetime, shelf: Shelf, now: datetime) -> Refusal | None:
    earliest = now + NOTICE
    if effective_at < earliest:
        words = (
            f"must come at least {NOTICE.seconds} s after the second signature, and {_text(effective_at)} does not. "
            f"Allowed now: {_text(earliest)} or later; where no time is given at all, {NOTICE.seconds} s after the "
            "second signature"
        )
        return Refusal(RefusalReason.TOO_EARLY, words)
    if effective_at <= shelf.newest_effective_at:
        words = (
            f"must come after that of version {shelf.newest}, which both sides have signed; {_text(effective_at)} does "
            f"not. Allowed: any time later than {_text(shelf.newest_effective_at)}"
        )
        return Refusal(RefusalReason.BEFORE_ANOTHER, words)
    return None


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
