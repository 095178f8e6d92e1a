"""Configuration of Alertmanager and the texts of its messages, as files."""
