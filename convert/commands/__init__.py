"""Click commands of `convert`, one module each; loaded only when called."""
