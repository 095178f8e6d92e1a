"""Configuration and rules of Prometheus, as files."""
