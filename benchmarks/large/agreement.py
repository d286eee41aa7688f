"""What marketing and sales of a large company have agreed: the packaged accord with teams of sixty."""

from typing import Any, Final

from pydantic_core import to_json

from shared.agreement.loading import default_accord_text, load_accord

_TEAM_SIZES: Final = {"enterprise": 12, "mid-market": 18, "commercial": 30}


def accord_text() -> str:
    """The document, as JSON. Leads of which nothing is known but an address are nobody's until somebody takes them."""
    document: dict[str, Any] = load_accord(default_accord_text()).as_written()
    document["name"] = "A large house"
    document["routing"] |= {
        "teams": {team: [_owner(team, number) for number in range(size)] for team, size in _TEAM_SIZES.items()},
        "rules": [
            {"when": {"employees": {"gte": 1_000}}, "team": "enterprise"},
            {"when": {"employees": {"gte": 200}}, "team": "mid-market"},
            {"when": {"employees": {"exists": True}}, "team": "commercial"},
        ],
        "managers": {team: f"manager.{team}@sales.example" for team in _TEAM_SIZES},
    }
    return to_json(document).decode()


def _owner(team: str, number: int) -> dict[str, Any]:
    return {"owner": f"{team}.{number + 1:02}@sales.example", "weight": 2 if number % 6 == 0 else 1}
