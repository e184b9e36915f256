"""On the board: preflight, lock, flash, smoke run, releases, reading photos."""
