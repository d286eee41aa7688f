"""`accord sources …`: senders of webhooks, made, listed, tried out, rotated and watched on a running Accord."""
