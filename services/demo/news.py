"""What webhooks tell of promises, as sentences: warned, broken, escalated, taken back."""

from typing import Any, Final

from services.demo.board import Board, Breach, who_of

ASSIGNED: Final = "accord.lead.assigned"


def tell(event: dict[str, Any], board: Board) -> None:
    """Puts the news of one verified webhook on the board; most events are none."""
    data = event["data"]
    who, owner = who_of(data["lead"]), data.get("owner")
    match event["type"]:
        case "accord.clock.warned":
            board.news.append(f"warning: {data['rule']} on {who}; {owner} has little time left")
        case "accord.clock.breached":
            board.breaches.appendleft(Breach(data["rule"], who, owner, data.get("lateness_seconds") or 0.0))
            board.news.append(f"breach: {data['rule']} on {who}; {owner} did not act in time (webhook verified)")
        case "accord.clock.escalated":
            done = ", and the lead is reassigned" if data.get("then") == "reassign" else ""
            board.news.append(f"escalation {data['level']}: {data['rule']} on {who}; {data['whom']} is told{done}")
        case "accord.clock.voided":
            board.news.append(
                f"breach taken back: {data['rule']} on {who}; {owner} had acted in time, the CRM was late"
            )
        case "accord.lead.assigned" if data["why"] == "reassigned":
            board.news.append(f"reassigned: {who} goes to {owner}, and the promise starts again")
