"""The conditions of a run: environment, power, knobs, tuner."""
