"""Click commands of `bench`, one module each; loaded only when called."""
