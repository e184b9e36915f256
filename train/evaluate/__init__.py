"""The pipeline over a set, by kind, and the ladder of the application note (docs/glossary.md)."""
