"""`accord accords …`: versions of the accord, proposed, compared, signed and withdrawn on a running Accord."""
