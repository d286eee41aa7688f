"""A person's right to a copy: everything that Accord holds about one lead, as JSON."""

from services.api.routes.lead_reader import LeadReader
from services.api.routes.parts import Parts, Registrar
from services.api.schemas.export import Export
from services.api.store.export import ExportStore


class ExportRoutes:
    """One lead, with everything."""

    def __init__(self, parts: Parts, reader: LeadReader, store: ExportStore) -> None:
        self._parts = parts
        self._reader = reader
        self._store = store

    def register(self, to: Registrar) -> None:
        to.add("GET /v1/leads/{lead}/export", self.export, summary="Everything held about a lead", answer=Export)

    async def export(self, lead: str) -> Export:
        """Rows as the services publish them; an answer that a receiver of webhooks gave is in hexadecimal."""
        lead_id = await self._reader.resolve(lead)
        shown = await self._reader.now(lead_id)
        return Export(exported_at=self._parts.clock.now(), lead=shown, held=await self._store.everything(lead_id))
