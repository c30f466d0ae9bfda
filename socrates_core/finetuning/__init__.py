"""Finetunes as records: what is trained on which rows, what is held out, how it went. training/ does the work."""
