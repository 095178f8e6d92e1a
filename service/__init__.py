"""What exporter and breaker have in common as processes: settings, logging, HTTP, binaries."""
