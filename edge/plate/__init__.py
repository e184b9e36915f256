"""What a plate is: its country, grammar, polygons, edit distance, CCPD names, what was read, accuracy figures."""
