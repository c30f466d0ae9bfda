"""The library under the dashboard: corpora, scales, prompts, models, simulation, analysis and jobs."""
