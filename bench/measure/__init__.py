"""The measuring: opening, target, session, progress, fleet."""
