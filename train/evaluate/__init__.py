"""The pipeline over a set, by kind, and the note's ladder."""
