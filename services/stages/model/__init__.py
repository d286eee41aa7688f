"""Where a lead stands between marketing and sales, as a fold (ACCORD.md "Stages", "Routing")."""

from services.stages.model.decisions import HistoryRow, apply, fold
from services.stages.model.routing import Routing, Stamp, Sticky, stamp_from_json, stamp_to_json
from services.stages.model.state import Batch, Decision, HistoryLine, Input, Score, State, Told, TransitionLine
from services.stages.model.told import told_id
from services.stages.model.transitions import TransitionReason

__all__ = [
    "Batch",
    "Decision",
    "HistoryLine",
    "HistoryRow",
    "Input",
    "Routing",
    "Score",
    "Stamp",
    "State",
    "Sticky",
    "Told",
    "TransitionLine",
    "TransitionReason",
    "apply",
    "fold",
    "stamp_from_json",
    "stamp_to_json",
    "told_id",
]
