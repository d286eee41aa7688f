"""What each vendor's fixtures mean, and the golden files beside them. A fixture says what is posted (a JSON body, or
text) and to a source with which settings; its golden file what Accord reads.

`python tests/vendor_goldens.py` writes the golden files anew: read the difference before you commit it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from msgspec.structs import asdict
from vendor_builders import RECEIVED_AT, read, sent, source

from services.ingest.vendors.judging import judge

FIXTURES: Final = Path(__file__).parent / "unit" / "ingest" / "vendors"
ENDING: Final = ".golden.json"


def fixtures() -> Iterator[Path]:
    """Every fixture, in order."""
    return (path for path in sorted(FIXTURES.glob("*/*.json")) if not path.name.endswith(ENDING))


def golden_of(path: Path) -> Path:
    return path.with_name(path.stem + ENDING)


def body_of(fixture: dict[str, Any]) -> bytes:
    body = fixture["body"]
    return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, separators=(",", ":"))).encode()


def meaning(path: Path) -> dict[str, Any]:
    """What the fixture's body means, as plain JSON."""
    fixture = json.loads(path.read_text())
    config = source(path.parent.name, team=fixture.get("team", "marketing"), **fixture.get("settings", {}))
    request = sent(
        body_of(fixture), fixture.get("headers"), url=fixture.get("url", "https://accord.example/v1/hooks/6")
    )
    found = read(request, config)
    judged = judge(found, config, received_at=RECEIVED_AT, event_bytes_max=32 * 1024)
    items = [
        {name: value for name, value in asdict(item).items() if value not in (None, 0, (), False)}
        for item in found.items
    ]
    bad = [{"position": bad.position, "faults": [list(fault) for fault in bad.faults]} for bad in judged.bad]
    return {"items": json.loads(json.dumps(items)), **({"bad": bad} if bad else {})}


if __name__ == "__main__":
    for fixture_path in fixtures():
        golden = json.dumps(meaning(fixture_path), ensure_ascii=False, indent=1)
        golden_of(fixture_path).write_text(golden + "\n")
