"""One batch of scoring: load the leads, score event by event, save, tell every score."""

from services.scoring.handler.batch import Scoring, ledger_lines
from services.scoring.handler.desk import Desk, ScoringStore, SignedAccords
from services.scoring.handler.live import INPUTS_MAX, ScoringHandler

__all__ = ["INPUTS_MAX", "Desk", "Scoring", "ScoringHandler", "ScoringStore", "SignedAccords", "ledger_lines"]
