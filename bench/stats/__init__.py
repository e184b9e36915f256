"""Statistics: intervals, trends, change points."""
