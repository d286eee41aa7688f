"""From what a sender sent to what is committed: `intake` judges one request, `commits` writes many at once."""
