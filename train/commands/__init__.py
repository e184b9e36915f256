"""Click commands of `train`, one module each; loaded only when called."""
