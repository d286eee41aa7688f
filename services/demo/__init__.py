"""The demo: a real `accord up`, a season of made-up traffic over HTTP, and a view of what becomes of it."""
