"""Optional speed for fitting on a CPU: what Paddle's own CPU kernels leave on the table.

Three things, each measured, none changing what is computed beyond rounding (tests/train/accel/test_fit_accel.py):
memory that is kept instead of being returned to the system at every step, MKL's fast path on processors that are not
Intel's, and own kernels for depthwise and 1x1 convolutions.
"""
