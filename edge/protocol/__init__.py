"""The protocol to a board, and the parts that every way to one shares."""
