"""Where a version of the accord stands for one reader: who has signed, what they may do about it, and why not."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from shared.agreement.life import SIDES, Person, Version, refuse_signer, refuse_withdrawal
from shared.http.auth import Principal

TONES: Final[Mapping[str, str]] = {"effective": "good", "scheduled": "soon", "proposed": "soon"}


class Standing(NamedTuple):
    """`signed` has the signature of each side, or None. `why_not` says why this reader can't sign a proposal."""

    signed: Mapping[str, Mapping[str, Any] | None]
    may_sign: bool
    why_not: str | None
    may_withdraw: bool


def standing(version: Mapping[str, Any], reader: Principal) -> Standing:
    """Of a version as the api shows it. The api decides again, and by more, when something is done."""
    signatures = {signature["role"]: signature for signature in version["signatures"]}
    signers = [Person(found["key_id"] or "", found["role"]) for found in version["signatures"] if found["is_person"]]
    life = Version(version["version"], version["state"], signed_by=signers)
    person = Person(reader.key_id, reader.role)
    why_not = _why_not(life, person, reader) if version["state"] == "proposed" else None
    return Standing(
        signed={side: signatures.get(side) for side in SIDES},
        may_sign=version["state"] == "proposed" and why_not is None,
        why_not=why_not,
        may_withdraw=may_act(reader, "accord:propose", "accord:sign") and refuse_withdrawal(life, person) is None,
    )


def in_effect(versions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The version that decides now; none only before the first start has put one on file."""
    return next((version for version in versions if version["state"] == "effective"), None)


def on_its_way(versions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that people wait for: proposed, or signed and not yet in effect."""
    return [version for version in versions if version["state"] in ("proposed", "scheduled")]


def _why_not(version: Version, person: Person, reader: Principal) -> str | None:
    refusal = refuse_signer(version, person)
    if refusal is not None:
        return refusal.words
    if reader.owner is not None:
        return (
            "This key is limited to the leads of one owner, and signs for no side. Allowed: a key without that limit."
        )
    if not may_act(reader, "accord:sign"):
        return (
            f"This key is of role {person.role} and lacks the scope accord:sign. Whoever administers Accord can add "
            "it, or make another key for you."
        )
    return None


def may_act(reader: Principal, *scopes: str) -> bool:
    """Whether the api lets this reader do something about versions: by scope, and not limited to some leads."""
    return reader.owner is None and any(reader.may(scope) for scope in scopes)
