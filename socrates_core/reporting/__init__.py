"""Reports for colleagues and journals: a page that needs nothing else, and a folder whose scripts check its numbers."""
