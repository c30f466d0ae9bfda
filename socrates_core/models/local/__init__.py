"""Models that run on this machine through transformers. Imported only where a model is opened."""
