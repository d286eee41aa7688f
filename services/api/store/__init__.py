"""What the api reads and writes: its own schema, and the views that the other services publish."""
