"""What is kept of a file, as it lies in the tables: made smaller, and sealed, because it holds people."""

import json
import zlib
from collections.abc import Sequence

from services.ingest.model import Fault
from services.ingest.vendors.csv_rows import RefusedRow
from shared.secret_box import SecretBox

_QUICKLY = 1


class ImportBodies:
    """All of it takes time enough for a thread of its own."""

    def __init__(self, box: SecretBox) -> None:
        self._box = box

    def pack(self, text: str) -> bytes:
        return self._box.seal_bytes(zlib.compress(text.encode(), _QUICKLY))

    def unpack(self, body: bytes) -> str:
        """Raises WrongSecretKey."""
        return zlib.decompress(self._box.open_bytes(body)).decode()

    def pack_refused(self, rows: Sequence[RefusedRow]) -> bytes:
        return self.pack(json.dumps([[row.line, row.faults, row.cells] for row in rows]))

    def unpack_refused(self, body: bytes) -> list[RefusedRow]:
        """Raises WrongSecretKey."""
        return [
            RefusedRow(line, [Fault(*fault) for fault in faults], cells)
            for line, faults, cells in json.loads(self.unpack(body))
        ]
