"""Whole splits: every held-out person asked in the cell that they were really in, scored beside baselines."""
