"""What a lead is worth, as a fold over its history (ACCORD.md "Engagement", "Fit and grade")."""

from services.scoring.model.decisions import apply, fold, may_need_older
from services.scoring.model.grants import HORIZON
from services.scoring.model.rules import instant
from services.scoring.model.state import (
    Batch,
    Decision,
    Grant,
    HistoryLine,
    Input,
    LedgerLine,
    Older,
    State,
    Window,
    WithheldReason,
)

__all__ = [
    "HORIZON",
    "Batch",
    "Decision",
    "Grant",
    "HistoryLine",
    "Input",
    "LedgerLine",
    "Older",
    "State",
    "Window",
    "WithheldReason",
    "apply",
    "fold",
    "instant",
    "may_need_older",
]
