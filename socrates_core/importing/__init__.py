"""A researcher's own study: a file read with suspicion, a mapping that says what its columns mean, a corpus."""
