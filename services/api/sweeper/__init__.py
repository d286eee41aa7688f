"""What the api does at its own pace: bring its lists up to date, and count what the line reads and emits."""
