"""A detector of two thousand weights that is no part of the kit: its layers, its loss, and what the kit asks about it."""

from __future__ import annotations

from typing import Any

import paddle
import paddle.nn.functional as F
from paddle import nn

from edge.model.card import Input
from train.arch.architecture import Architecture
from train.fit.tasks_det import DetTask


class TinyDetector(nn.Layer):
    """Three convolutions down to a quarter, one map, and the way back up."""

    def __init__(self) -> None:
        super().__init__()
        sides = ((3, 8, 2), (8, 16, 2), (16, 8, 1))
        self.body = nn.Sequential(
            *(part for inside, outside, stride in sides for part in (
                nn.Conv2D(inside, outside, 3, stride=stride, padding=1), nn.BatchNorm2D(outside), nn.ReLU()
            ))
        )  # fmt: skip
        self.map = nn.Conv2D(8, 1, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps `[N, 3, H, W]` to probabilities `[N, 1, H, W]`."""
        return F.sigmoid(F.interpolate(self.map(self.body(x)), scale_factor=4, mode="nearest"))


class MapTask(DetTask):
    """A loss of the one map that this detector has; data and validation stay the detectors' own."""

    def loss(self, net: Any, batch: Any) -> dict[str, Any]:
        """See `train.fit.tasks.Task`."""
        target = paddle.to_tensor(batch.targets[:, :1])
        return {"loss": F.binary_cross_entropy(net(paddle.to_tensor(batch.images)), target, 1 + 5 * target)}


class _TinyDet(Architecture):
    task = "det"
    about = "tiny detector: three convolutions"
    input = Input("x", 0, 0, 32, 1 / 255, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    settings = (
        "det_limit_type=max", "det_limit_side=256", "det_thresh=0.5", "det_box_thresh=0.5", "det_unclip_ratio=1.0"
    )  # fmt: skip
    fits = f"{__name__}:MapTask"

    def network(self, classes: int, like: Any) -> nn.Layer:
        return TinyDetector()


ARCHITECTURE = _TinyDet()
