"""Photos on disk: what kind of file, which are read, what is on them."""
