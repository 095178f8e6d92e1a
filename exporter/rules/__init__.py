"""alerts.yml: what a rule may say, where a file is wrong, and what is done with such files."""
