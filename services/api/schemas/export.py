"""Everything held about one lead."""

from pydantic import BaseModel

from services.api.schemas.fields import Instant, JsonRow
from services.api.schemas.leads import Lead


class Export(BaseModel):
    """The lead as it is shown, and every row that bears its id, by what the rows are."""

    exported_at: Instant
    lead: Lead
    held: dict[str, list[JsonRow]]
