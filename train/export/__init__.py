"""From a trained network to an inference model."""
