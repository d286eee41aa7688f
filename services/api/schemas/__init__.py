"""Bodies of the api: what comes in, and what goes out."""
