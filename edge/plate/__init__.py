"""What a plate is: grammar, polygons, edit distance, CCPD names, accuracy figures."""
