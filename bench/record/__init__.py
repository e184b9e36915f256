"""What a run records: events, shapes, result, raw session."""
