"""What the API measures of itself, for `GET /metrics`. docs/metrics.md lists it."""
