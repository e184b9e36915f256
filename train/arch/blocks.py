"""Pieces that both networks share: convolution with batch norm, and squeeze-and-excitation."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn

Size = int | tuple[int, int]


def activate(x: paddle.Tensor, name: str | None) -> paddle.Tensor:
    """Applies `relu`, `hard_swish`, `swish` or nothing, each as one operator of the exported graph."""
    if name is None:
        return x
    return {"relu": F.relu, "hard_swish": F.hardswish, "swish": F.swish}[name](x)


def same_padding(kernel: Size) -> Size:
    """Returns the padding that keeps the size of a map under a stride of 1, for odd kernels."""
    return kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)


class ConvNorm(nn.Layer):
    """Convolution without bias, batch norm, activation.

    PaddleOCR's networks name the two parts differently (`conv`/`bn`, `_conv`/`_batch_norm`, `conv`/`norm`), and its
    checkpoints follow those names; so the attribute names are arguments.

    Args:
        channels: Input and output channels.
        kernel: Kernel size; the padding is half of it.
        stride: Stride.
        groups: Groups of the convolution; as many as input channels for a depthwise one.
        act: `relu`, `hard_swish`, `swish` or None.
        names: Attribute names of the convolution and of the batch norm.
    """

    def __init__(
        self,
        channels: tuple[int, int],
        kernel: Size,
        stride: Size = 1,
        groups: int = 1,
        act: str | None = None,
        names: tuple[str, str] = ("conv", "bn"),
    ) -> None:
        super().__init__()
        self.names = names
        self.act = act
        conv = nn.Conv2D(*channels, kernel, stride=stride, padding=same_padding(kernel), groups=groups, bias_attr=False)
        self.add_sublayer(names[0], conv)
        self.add_sublayer(names[1], nn.BatchNorm2D(channels[1]))

    @property
    def conv(self) -> nn.Conv2D:
        """The convolution, whatever its attribute name is."""
        return self._sub_layers[self.names[0]]

    @conv.setter
    def conv(self, conv: nn.Layer) -> None:
        # PaddleSlim's quantisation-aware training replaces layers by setattr with their name, which may be `conv`.
        self.replace_conv(conv)

    def replace_conv(self, conv: nn.Layer) -> None:
        """Puts another convolution in the place of this one, under the same name."""
        self._sub_layers[self.names[0]] = conv

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps float32 `[N, Cin, H, W]` to `[N, Cout, H', W']`."""
        for name in self.names:
            x = self._sub_layers[name](x)
        return activate(x, self.act)


class ChannelGate(nn.Layer):
    """The gate of squeeze-and-excitation (Hu et al. 2018, arXiv 1709.01507) with a hard sigmoid.

    Args:
        channels: Channels of the map.
        slope: Slope of the hard sigmoid; PP-OCRv3's detector was trained with 0.2, its recogniser with 1/6.
        offset: What is added to the gate. PP-OCRv3's residual form `x + x * gate` is computed as
            `x * (gate + 1)`: the same value with one pass less over the whole map.
        middle: Channels between the two convolutions, 0 for a quarter.
    """

    def __init__(self, channels: int, slope: float, offset: float = 0.0, middle: int = 0) -> None:
        super().__init__()
        self.slope = slope
        self.offset = offset
        self.avg_pool = nn.AdaptiveAvgPool2D(1)
        self.conv1 = nn.Conv2D(channels, middle or channels // 4, 1)
        self.conv2 = nn.Conv2D(middle or channels // 4, channels, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps float32 `[N, C, H, W]` to the same shape."""
        gate = self.conv2(F.relu(self.conv1(self.avg_pool(x))))
        gate = F.hardsigmoid(gate, slope=self.slope, offset=0.5)
        if self.offset:
            gate = gate + self.offset
        return paddle.multiply(x, gate)


def layer_kind(layer: nn.Layer) -> str:
    """Returns the word by which Paddle counts a layer's parameters (`conv2d_57.w_0`); empty where it has none."""
    kinds = {
        nn.Conv2DTranspose: "conv2d_transpose", nn.Conv2D: "conv2d", nn.BatchNorm2D: "batch_norm",
        nn.Linear: "linear", nn.LayerNorm: "layer_norm",
    }  # fmt: skip
    return kinds.get(type(layer), "")
