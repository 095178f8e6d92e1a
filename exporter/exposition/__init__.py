"""The text of /metrics and /metrics/alerts."""
