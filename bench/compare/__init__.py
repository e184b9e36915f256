"""Two results or many: changes, history, self-check."""
