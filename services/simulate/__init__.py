"""The traffic of a small company's season, made up from a seed: people, what they do, and what sales does about it.

Pure: the same seed and start give the same posts, ids included. Nobody in it exists.
"""

from services.simulate.reps import Reaction, react, take_over
from services.simulate.season import Post, Season, season

__all__ = ["Post", "Reaction", "Season", "react", "season", "take_over"]
