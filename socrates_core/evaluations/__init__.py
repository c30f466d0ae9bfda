"""Whole splits: the model answers for every held-out person in that person's own cell, and is scored with baselines."""
