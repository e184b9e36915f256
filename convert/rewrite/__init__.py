"""Rewrites of a graph for Paddle Lite: fused operators, constants, a smaller charset."""
