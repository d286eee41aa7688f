"""Everything held about one lead."""

from typing import Any

from pydantic import BaseModel

from services.api.schemas.fields import Instant
from services.api.schemas.leads import Lead


class Export(BaseModel):
    """The lead as it is shown, and every row that bears its id, by what the rows are."""

    exported_at: Instant
    lead: Lead
    held: dict[str, list[dict[str, Any]]]
