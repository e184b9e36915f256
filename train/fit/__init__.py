"""The training loop: its tasks, losses, schedule, logs, and what makes a run repeatable.

Every random choice of a run is a function of (seed, step): samples, augmentation, dropout. So a run that was killed
resumes from its last checkpoint with exactly the same numbers, and there is no sampler or generator state to keep.
"""
