"""An own reader of Paddle Lite's `.nb` files (the naive buffer), for which no Paddle is needed."""

from convert.nbfile.contents import NbError, NbFile, Operator, Region, Tensor
from convert.nbfile.reader import read_nb

__all__ = ["NbError", "NbFile", "Operator", "Region", "Tensor", "read_nb"]
