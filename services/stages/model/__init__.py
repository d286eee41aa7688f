"""Where a lead stands between marketing and sales, as a fold (ACCORD.md "Stages", "Routing")."""

from services.stages.model.decisions import HistoryRow, apply, fold, rows_of
from services.stages.model.routing import Absence, Load, Routing, Rows, Stamp, Sticky, stamp_from_json, stamp_to_json
from services.stages.model.state import Batch, Decision, HistoryLine, Input, Score, State, Told, TransitionLine
from services.stages.model.told import told_id

__all__ = [
    "Absence",
    "Batch",
    "Decision",
    "HistoryLine",
    "HistoryRow",
    "Input",
    "Load",
    "Routing",
    "Rows",
    "Score",
    "Stamp",
    "State",
    "Sticky",
    "Told",
    "TransitionLine",
    "apply",
    "fold",
    "rows_of",
    "stamp_from_json",
    "stamp_to_json",
    "told_id",
]
