"""The layers of PP-OCRv3's detector and recogniser, as the kit's own Paddle definition builds them.

One line a layer: kind, input channels, output channels, kernel height and width, groups, and by how much the output is
smaller than the network's input in height and width (0: a single row or column), ` xN` for N equal ones. Attention's
two small products and all element-wise work are left out; they count as memory traffic of the layers around them.
"""

from __future__ import annotations

DETECTOR = """
conv 3 8 3 3 1 2 2
conv 8 8 1 1 1 2 2
conv 8 8 3 3 8 2 2
conv 8 8 1 1 1 2 2
conv 8 32 1 1 1 2 2
conv 32 32 3 3 32 4 4
conv 32 16 1 1 1 4 4
conv 16 40 1 1 1 4 4
conv 40 40 3 3 40 4 4
conv 40 16 1 1 1 4 4
conv 16 40 1 1 1 4 4
conv 40 40 5 5 40 8 8
conv 40 24 1 1 1 8 8
conv 24 64 1 1 1 8 8
conv 64 64 5 5 64 8 8
conv 64 24 1 1 1 8 8
conv 24 64 1 1 1 8 8
conv 64 64 5 5 64 8 8
conv 64 24 1 1 1 8 8
conv 24 120 1 1 1 8 8
conv 120 120 3 3 120 16 16
conv 120 40 1 1 1 16 16
conv 40 104 1 1 1 16 16
conv 104 104 3 3 104 16 16
conv 104 40 1 1 1 16 16
conv 40 96 1 1 1 16 16
conv 96 96 3 3 96 16 16
conv 96 40 1 1 1 16 16
conv 40 96 1 1 1 16 16
conv 96 96 3 3 96 16 16
conv 96 40 1 1 1 16 16
conv 40 240 1 1 1 16 16
conv 240 240 3 3 240 16 16
conv 240 56 1 1 1 16 16
conv 56 336 1 1 1 16 16
conv 336 336 3 3 336 16 16
conv 336 56 1 1 1 16 16
conv 56 336 1 1 1 16 16
conv 336 336 5 5 336 32 32
conv 336 80 1 1 1 32 32
conv 80 480 1 1 1 32 32
conv 480 480 5 5 480 32 32
conv 480 80 1 1 1 32 32
conv 80 480 1 1 1 32 32
conv 480 480 5 5 480 32 32
conv 480 80 1 1 1 32 32
conv 80 480 1 1 1 32 32
conv 480 96 1 1 1 32 32
conv 96 24 1 1 1 0 0
conv 24 96 1 1 1 0 0
conv 96 24 3 3 1 32 32
conv 24 6 1 1 1 0 0
conv 6 24 1 1 1 0 0
conv 56 96 1 1 1 16 16
conv 96 24 1 1 1 0 0
conv 24 96 1 1 1 0 0
conv 96 24 3 3 1 16 16
conv 24 6 1 1 1 0 0
conv 6 24 1 1 1 0 0
conv 24 96 1 1 1 8 8
conv 96 24 1 1 1 0 0
conv 24 96 1 1 1 0 0
conv 96 24 3 3 1 8 8
conv 24 6 1 1 1 0 0
conv 6 24 1 1 1 0 0
conv 16 96 1 1 1 4 4
conv 96 24 1 1 1 0 0
conv 24 96 1 1 1 0 0
conv 96 24 3 3 1 4 4
conv 24 6 1 1 1 0 0
conv 6 24 1 1 1 0 0
conv 96 24 3 3 1 4 4
deconv 24 24 2 2 1 2 2
deconv 24 1 2 2 1 1 1
"""

RECOGNISER = """
conv 3 16 3 3 1 2 2
conv 16 16 3 3 16 2 2
conv 16 32 1 1 1 2 2
conv 32 32 3 3 32 2 2
conv 32 64 1 1 1 2 2
conv 64 64 3 3 64 2 2
conv 64 64 1 1 1 2 2
conv 64 64 3 3 64 4 2
conv 64 128 1 1 1 4 2
conv 128 128 3 3 128 4 2
conv 128 128 1 1 1 4 2
conv 128 128 3 3 128 8 2
conv 128 256 1 1 1 8 2
conv 256 256 5 5 256 8 2
conv 256 256 1 1 1 8 2
conv 256 256 5 5 256 8 2
conv 256 256 1 1 1 8 2
conv 256 256 5 5 256 8 2
conv 256 256 1 1 1 8 2
conv 256 256 5 5 256 8 2
conv 256 256 1 1 1 8 2
conv 256 256 5 5 256 8 2
conv 256 256 1 1 1 8 2
conv 256 256 5 5 256 16 2
conv 256 64 1 1 1 0 0
conv 64 256 1 1 1 0 0
conv 256 512 1 1 1 16 2
conv 512 512 5 5 512 16 4
conv 512 128 1 1 1 0 0
conv 128 512 1 1 1 0 0
conv 512 512 1 1 1 16 4
conv 512 64 3 3 1 0 8
conv 64 120 1 1 1 0 8
linear 120 360 1 1 1 0 8
linear 120 120 1 1 1 0 8
linear 120 240 1 1 1 0 8
linear 240 120 1 1 1 0 8
linear 120 360 1 1 1 0 8
linear 120 120 1 1 1 0 8
linear 120 240 1 1 1 0 8
linear 240 120 1 1 1 0 8
conv 120 512 1 1 1 0 8
conv 1024 64 3 3 1 0 8
conv 64 64 1 1 1 0 8
linear 64 6625 1 1 1 0 8
"""
