"""The terminal: options, steps, bars, completion, exits."""
