"""The search for good settings, and its picture."""
