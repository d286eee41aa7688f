"""How people are told: words.py says what happened in words, the others put such words into the form of one channel."""
