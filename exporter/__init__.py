"""Turns the gateway's log table into exact counters, and alert rules into series."""
