"""The library under the dashboard: corpora, scales, prompts, models, simulation, analysis and jobs."""

import os

__version__ = "0.1.0"  # the only place; pyproject.toml reads it here

# Threads that wait for each other spin for 300,000 turns by libgomp's default, and where another program holds a
# core (the browser, the dashboard) they spin against it. benchmarks/beside.py measures what little spinning is worth.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# A proxy of the environment has no part in what is asked of this machine: a hub or a model server here would be asked
# through it, with its key. Every library that asks reads these two names; what a person set in them stays.
_DIRECT = "localhost,127.0.0.1,::1"
_excepted = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
if _DIRECT not in _excepted and _excepted.strip() != "*":
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = f"{_excepted},{_DIRECT}".lstrip(",")
