"""What puts exporter, breaker, Prometheus, Alertmanager and Grafana into service."""
