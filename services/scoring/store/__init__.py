"""Reads and writes schema `scoring` a batch at a time, through the step's own connection."""

from services.scoring.store.rescores import Partial, RescoreStore, decode_line, encode_line
from services.scoring.store.tables import (
    STATE_COLUMNS,
    PostgresStore,
    decode_granted,
    decode_state,
    encode_state,
    history_of,
    state_row,
)

__all__ = [
    "STATE_COLUMNS",
    "Partial",
    "PostgresStore",
    "RescoreStore",
    "decode_granted",
    "decode_line",
    "decode_state",
    "encode_line",
    "encode_state",
    "history_of",
    "state_row",
]
