"""What is measured, on real servers: `make bench`."""
