"""Boards: profile, inventory, fleet, what a probe finds, the SoC alias."""
