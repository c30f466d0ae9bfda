"""Simulations that show whether intervals hold what they promise: `make bench-numbers`."""
