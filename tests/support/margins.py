"""Shares of a population in a file."""

SHARES = "field,category,share\ngender,Female,51%\ngender,Male,49%\nage,18-34,0.3\nage,35+,0.7\n"
