"""A recogniser of seven thousand weights that is no part of the kit: its layers, and what the kit asks about it."""

from __future__ import annotations

from typing import Any

import paddle
import paddle.nn.functional as F
from paddle import nn

from edge.model.card import Input
from train.arch.architecture import Architecture


class TinyRecognizer(nn.Layer):
    """Two convolutions down to a quarter, one as high as the map, a linear layer over classes for each column."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2D(3, 8, 3, stride=2, padding=1), nn.BatchNorm2D(8), nn.ReLU(),
            nn.Conv2D(8, 12, 3, stride=2, padding=1), nn.BatchNorm2D(12), nn.ReLU(),
            nn.Conv2D(12, 20, (6, 3), padding=(0, 1)), nn.BatchNorm2D(20), nn.ReLU(),
        )  # fmt: skip
        self.fc = nn.Linear(20, classes)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps `[N, 3, 24, W]` to `[N, W / 4, classes]`: logits in training, else probabilities."""
        scores = self.fc(self.body(x).squeeze(2).transpose([0, 2, 1]))
        return scores if self.training else F.softmax(scores, axis=2)


class _TinyRec(Architecture):
    task = "rec"
    about = "tiny recogniser: three convolutions, CTC"
    input = Input("x", 24, 0, 8, 1 / 255, (0.4, 0.4, 0.4), (0.3, 0.3, 0.3))
    stride = 4
    settings = ("rec_resize=stretch",)
    head = ("fc.weight", "fc.bias")

    def network(self, classes: int, like: Any) -> nn.Layer:
        return TinyRecognizer(classes)


ARCHITECTURE = _TinyRec()
