"""Click commands of `edge`, one module each; loaded only when called."""
