"""A simulated gateway, its traffic and its incidents."""
