"""Data sets, batches, DB maps, statistics."""
