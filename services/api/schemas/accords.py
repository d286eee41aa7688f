"""Bodies about the versions of the accord: what comes in, and what goes out."""

from typing import Any, Final

from pydantic import BaseModel, Field

from services.api.schemas.fields import Body, Instant

_TIME: Final = "2026-12-01T08:00:00Z"
_EFFECTIVE_AT: Final = (
    "When the version takes effect: at the earliest 10 s after the second signature, which is also the default."
)


class ProposalBody(Body):
    """A document to be agreed on: as an object, or as the text of a YAML or JSON file."""

    document: dict[str, Any] | str = Field(examples=["accord: 1\nname: Example Corp\n…"])
    effective_at: Instant | None = Field(None, description=_EFFECTIVE_AT, examples=[_TIME])


class SignatureBody(Body):
    """One side's signature. A time given here counts instead of one given before."""

    effective_at: Instant | None = Field(None, description=_EFFECTIVE_AT, examples=[_TIME])


class WithdrawalBody(Body):
    """Nothing more needs to be said."""


class Signature(BaseModel):
    """Who signed, for which side, when, and over which document."""

    role: str | None = Field(description="marketing or sales; null for `bootstrap`, which is no person.")
    signed_by: str = Field(description="The name of the key.")
    key_id: str | None
    signed_at: Instant
    sha256: str = Field(description="Of the RFC 8785 (canonical JSON) form of the document.")
    effective_at: Instant | None = Field(description="The time given with this signature.")
    is_person: bool
    note: str | None = None


class ChangeBody(BaseModel):
    """One thing that another version would do differently, in words."""

    path: str
    words: str


class DifferenceBody(BaseModel):
    """What version `to` does differently from version `from`; empty if only the writing differs."""

    from_version: int = Field(serialization_alias="from")
    to_version: int = Field(serialization_alias="to")
    changes: list[ChangeBody]


class AccordItem(BaseModel):
    """A version; its state as of now."""

    version: int
    state: str = Field(description="proposed, scheduled, effective, superseded or withdrawn")
    sha256: str
    effective_at: Instant | None
    proposed_by: str | None
    signatures: list[Signature]
    withdrawn_by: str | None
    withdrawn_at: Instant | None
    created_at: Instant


class RescoreBody(BaseModel):
    """How far a version that came into effect has rescored the leads. `newly_qualifying` are those on which
    `stages.mql` holds and didn't under the version before, asked as of a lead in the stage `lead`."""

    state: str = Field(description="running or finished")
    leads: int
    done: int
    left: int
    changed: int
    newly_qualifying: int
    started_at: Instant
    finished_at: Instant | None


class AccordBody(AccordItem):
    """A version whole, with what it changes, and the leads that it rescores."""

    document: dict[str, Any]
    source_text: str
    difference: DifferenceBody | None = Field(description="From the signed version before it; null for the first.")
    rescore: RescoreBody | None = Field(description="Null before it is in effect, and for the first version.")


class ProposedBody(AccordItem):
    """A version that was proposed just now."""

    warnings: list[str] = Field(description="What is allowed in this document, and likely a slip.")


class CheckedBody(BaseModel):
    """What proposing this document would say. Nothing is kept of it."""

    sha256: str
    warnings: list[str] = Field(description="What is allowed in this document, and likely a slip.")
    compared_with: int = Field(description="The newest version that both sides have signed.")
    changes: list[ChangeBody] = Field(description="What it would do differently; empty if only the writing differs.")
    refusal: str | None = Field(description="Why it can't be proposed as things stand; null if it can.")


EXAMPLE: Final[dict[str, Any]] = {
    "version": 2,
    "state": "scheduled",
    "sha256": "4f1c" * 16,
    "effective_at": _TIME,
    "proposed_by": "Mary, marketing operations",
    "signatures": [
        {
            "role": role,
            "signed_by": name,
            "key_id": key_id,
            "signed_at": "2026-11-30T15:04:05Z",
            "sha256": "4f1c" * 16,
            "effective_at": None,
            "is_person": True,
            "note": None,
        }
        for role, name, key_id in (("marketing", "Mary", "9a3f"), ("sales", "Sam", "71bc"))
    ],
    "withdrawn_by": None,
    "withdrawn_at": None,
    "created_at": "2026-11-30T14:00:00Z",
}
EXAMPLE_DIFFERENCE: Final[dict[str, Any]] = {
    "from": 1,
    "to": 2,
    "changes": [{"path": "scoring.engagement.rules[survey].points", "words": "survey: 15 → 20 points"}],
}
EXAMPLE_RESCORE: Final[dict[str, Any]] = {
    "state": "finished",
    "leads": 100_000,
    "done": 100_000,
    "left": 0,
    "changed": 33_020,
    "newly_qualifying": 512,
    "started_at": _TIME,
    "finished_at": _TIME,
}
