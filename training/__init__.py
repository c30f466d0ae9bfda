"""Finetuning scripts live here; each reads top to bottom and runs as its own interpreter."""
