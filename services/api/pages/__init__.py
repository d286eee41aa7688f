"""The web pages: one board that marketing and sales both look at. Whatever they show or do is a call of the api."""
