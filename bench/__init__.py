"""Benchmarks on the board: plan, run, statistics, result and report."""
