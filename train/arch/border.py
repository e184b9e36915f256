"""What crosses Paddle's border, as mypy sees it; this file does not import paddle.

Paddle 2.6 has no annotations. Its tensors, layers and programs are `Any` by these names, and only by them.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Tensor = Any  # paddle.Tensor
Layer = Any  # paddle.nn.Layer; annotated as `nn.Layer` where paddle is imported
Program = Any  # paddle.static.Program

# A parameter's values, of whatever type it has, and those of a network by their names.
Array = NDArray[Any]
Arrays = dict[str, Array]
