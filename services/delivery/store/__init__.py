"""The tables of schema `delivery`: events.py what a step keeps, subscriptions.py who is told, claims.py and records.py
the sender's, messages.py those of grouped formats, requests.py replays and tests, trim.py what is forgotten."""
