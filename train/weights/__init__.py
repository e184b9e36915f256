"""Weights: published, checkpoints, trained, pruned."""
