"""What the api does at its own pace: bring its lists up to date, count what the line reads and emits, and carry out the
erasures that sources ask for."""
