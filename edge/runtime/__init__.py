"""Inference engines on this host, and Paddle Lite's libraries for boards."""
