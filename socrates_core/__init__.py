"""The library under the dashboard: corpora, scales, prompts, models, simulation, analysis and jobs."""

import os

# Threads that wait for each other spin for 300,000 turns by libgomp's default, and where another program holds a
# core (the browser, the dashboard) they spin against it. benchmarks/beside.py measures what little spinning is worth.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
