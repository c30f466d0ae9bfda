"""Reports for colleagues and journals: one page that needs nothing else, and a folder that recomputes its numbers."""
