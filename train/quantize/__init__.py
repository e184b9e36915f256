"""Quantising: PTQ, QAT, calibration, noise, scales."""
