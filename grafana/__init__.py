"""Grafana's provisioning and dashboards."""
