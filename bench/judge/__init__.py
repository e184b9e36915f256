"""Accuracy, verdict, summary."""
