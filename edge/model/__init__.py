"""What a model is: its card, the header of a `.nb` file, typed reading of JSON."""
