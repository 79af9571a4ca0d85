"""Survival: durations, event tables, curves, tests and competing risks."""
