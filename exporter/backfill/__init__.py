"""History from before the first scrape: the log table's past as blocks of Prometheus."""
