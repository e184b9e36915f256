"""What a plate is: grammar, polygons, edit distance, CCPD names, what was read, accuracy figures."""
