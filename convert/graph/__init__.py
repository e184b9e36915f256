"""Paddle's program: read, edit, cut, recognise, fake quantisation."""
