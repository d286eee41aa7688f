"""The audit log, as it is shown."""

from pydantic import BaseModel, Field

from services.api.schemas.fields import Instant, JsonRow


class AuditEntry(BaseModel):
    """One change: of a change only the fields that differ, of a secret only that it was set or changed."""

    id: int
    at: Instant
    actor: str = Field(
        description="Id of the key; or `oidc:` and a token's subject, `source:` and its id, `database:` and a role."
    )
    actor_name: str | None
    role: str | None
    action: str = Field(examples=["key.revoked"])
    subject: str = Field(examples=["key"])
    subject_id: str
    before: JsonRow | None
    after: JsonRow | None
