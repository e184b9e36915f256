"""What the bytes of a `.nb` are spent on, and how to save some."""
