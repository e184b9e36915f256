"""Estimates for boards that are not at hand: a calibrated roofline, always with its error."""
