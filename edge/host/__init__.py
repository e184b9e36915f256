"""This computer: its processor, its streams, child processes and how they end."""
