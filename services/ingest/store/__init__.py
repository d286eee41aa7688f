"""SQL of ingest."""
