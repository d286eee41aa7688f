"""A large house: a million leads with ten million activities, and what the api's calls take on them."""
