"""Every way into Accord over HTTP: plain events, vendors' webhooks, Segment's API."""
