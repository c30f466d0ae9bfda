"""Faults, each with real processes and real files: `make faults` tries them in full, `make test-slow` a seeded part."""
