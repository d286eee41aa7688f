"""One file per kind of sender: a pure function from what it posts to events, or to a refusal."""
