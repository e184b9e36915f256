"""The terminal: streams, options, steps, bars, completion, exits."""
