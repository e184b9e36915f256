"""The host's reference of what the C++ program does on a board: same steps, same names, same order."""
