"""PP-OCRv3's text detector: MobileNetV3-large x0.5, RSE-FPN, differentiable binarisation.

Howard et al. 2019 (arXiv 1905.02244), Li et al. 2022 (PP-OCRv3, arXiv 2206.03001), Liao et al. 2020 (DB, arXiv
1911.08947). The settings are those of PaddleOCR's `configs/det/ch_PP-OCRv3/ch_PP-OCRv3_det_student.yml`, and so are
the parameter names (`backbone.stage0.0.expand_conv.conv.weight` ...).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import paddle
import paddle.nn.functional as F
from paddle import nn

from edge.model.card import PPOCR_INPUTS
from train.arch.architecture import Architecture, PublishedFile
from train.arch.blocks import ChannelGate, ConvNorm, layer_kind

SCALE = 0.5
# Kernel, expanded and output channels before scaling, activation, stride; a new stage begins at each stride of 2
# but the first.
BLOCKS: tuple[tuple[int, int, int, str, int], ...] = (
    (3, 16, 16, "relu", 1),
    (3, 64, 24, "relu", 2),
    (3, 72, 24, "relu", 1),
    (5, 72, 40, "relu", 2),
    (5, 120, 40, "relu", 1),
    (5, 120, 40, "relu", 1),
    (3, 240, 80, "hard_swish", 2),
    (3, 200, 80, "hard_swish", 1),
    (3, 184, 80, "hard_swish", 1),
    (3, 184, 80, "hard_swish", 1),
    (3, 480, 112, "hard_swish", 1),
    (3, 672, 112, "hard_swish", 1),
    (5, 672, 160, "hard_swish", 2),
    (5, 960, 160, "hard_swish", 1),
    (5, 960, 160, "hard_swish", 1),
)
LAST_CHANNELS = 960
FPN_CHANNELS = 96
STEEPNESS = 50.0  # k of the DB paper


def scaled(channels: float) -> int:
    """Scales a channel count to the nearest multiple of 8, never below 90 % of it (MobileNet's rule)."""
    wanted = channels * SCALE
    result = max(8, int(wanted + 4) // 8 * 8)
    return result + 8 if result < 0.9 * wanted else result


class InvertedResidual(nn.Layer):
    """Expand 1x1, depthwise, project 1x1; a shortcut where input and output agree in shape."""

    def __init__(self, channels: tuple[int, int, int], kernel: int, stride: int, act: str) -> None:
        super().__init__()
        inside, middle, outside = channels
        self.shortcut = stride == 1 and inside == outside
        self.expand_conv = ConvNorm((inside, middle), 1, act=act)
        self.bottleneck_conv = ConvNorm((middle, middle), kernel, stride, groups=middle, act=act)
        self.linear_conv = ConvNorm((middle, outside), 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps `[N, Cin, H, W]` to `[N, Cout, H / stride, W / stride]`."""
        y = self.linear_conv(self.bottleneck_conv(self.expand_conv(x)))
        return paddle.add(x, y) if self.shortcut else y


class MobileNetV3(nn.Layer):
    """MobileNetV3-large x0.5 without squeeze-and-excitation; gives maps at 1/4, 1/8, 1/16 and 1/32."""

    def __init__(self) -> None:
        super().__init__()
        inside = scaled(16)
        self.conv = ConvNorm((3, inside), 3, 2, act="hard_swish")
        self.out_channels: list[int] = []
        stage: list[nn.Layer] = []
        self.stage_names: list[str] = []
        for index, (kernel, middle, outside, act, stride) in enumerate(BLOCKS):
            if stride == 2 and index > 2:
                self._close(stage, inside)
                stage = []
            stage.append(InvertedResidual((inside, scaled(middle), scaled(outside)), kernel, stride, act))
            inside = scaled(outside)
        stage.append(ConvNorm((inside, scaled(LAST_CHANNELS)), 1, act="hard_swish"))
        self._close(stage, scaled(LAST_CHANNELS))

    def _close(self, stage: list[nn.Layer], channels: int) -> None:
        name = f"stage{len(self.stage_names)}"
        self.stage_names.append(name)
        self.add_sublayer(name, nn.Sequential(*stage))
        self.out_channels.append(channels)

    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        """Maps `[N, 3, H, W]` to four maps of 16, 24, 56 and 480 channels at 1/4, 1/8, 1/16 and 1/32."""
        x = self.conv(x)
        maps = []
        for name in self.stage_names:
            x = self._sub_layers[name](x)
            maps.append(x)
        return maps


class ResidualGateConv(nn.Layer):
    """A convolution without bias whose output passes a residual channel gate ("RSE" in PP-OCRv3)."""

    def __init__(self, channels: tuple[int, int], kernel: int) -> None:
        super().__init__()
        self.in_conv = nn.Conv2D(
            *channels,
            kernel,
            padding=kernel // 2,
            weight_attr=paddle.ParamAttr(initializer=nn.initializer.KaimingUniform()),
            bias_attr=False,
        )
        self.se_block = ChannelGate(channels[1], slope=0.2, offset=1.0)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps `[N, Cin, H, W]` to `[N, Cout, H, W]`."""
        return self.se_block(self.in_conv(x))


class RSEFPN(nn.Layer):
    """A feature pyramid of gated convolutions; the four levels are brought to 1/4 and concatenated."""

    def __init__(self, in_channels: list[int]) -> None:
        super().__init__()
        self.ins_conv = nn.LayerList()
        self.inp_conv = nn.LayerList()
        for channels in in_channels:
            self.ins_conv.append(ResidualGateConv((channels, FPN_CHANNELS), 1))
            self.inp_conv.append(ResidualGateConv((FPN_CHANNELS, FPN_CHANNELS // 4), 3))
        self.out_channels = FPN_CHANNELS

    def forward(self, maps: list[paddle.Tensor]) -> paddle.Tensor:
        """Maps the backbone's four maps to one `[N, 96, H / 4, W / 4]`."""
        # Plain indices: Paddle's tracer rewrites loops, and knows neither reversed() nor zip(strict=...).
        above = self.ins_conv[3](maps[3])
        levels = [self.inp_conv[3](above)]
        for index in (2, 1, 0):
            above = self.ins_conv[index](maps[index]) + _enlarge(above, 2)
            levels.append(self.inp_conv[index](above))
        return paddle.concat(
            [_enlarge(levels[0], 8), _enlarge(levels[1], 4), _enlarge(levels[2], 2), levels[3]], axis=1
        )


def _enlarge(x: paddle.Tensor, factor: int) -> paddle.Tensor:
    return F.interpolate(x, scale_factor=factor, mode="nearest")


class MapHead(nn.Layer):
    """Brings a feature map at 1/4 to one map of probabilities at full size by two transposed convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        quarter = channels // 4
        bound = quarter**-0.5
        bias = paddle.ParamAttr(initializer=nn.initializer.Uniform(-bound, bound))
        kaiming = paddle.ParamAttr(initializer=nn.initializer.KaimingUniform())
        small = paddle.ParamAttr(initializer=nn.initializer.Constant(1e-4))
        self.conv1 = nn.Conv2D(channels, quarter, 3, padding=1, bias_attr=False)
        self.conv_bn1 = nn.BatchNorm2D(quarter, bias_attr=small)
        self.conv2 = nn.Conv2DTranspose(quarter, quarter, 2, stride=2, weight_attr=kaiming, bias_attr=bias)
        self.conv_bn2 = nn.BatchNorm2D(quarter, bias_attr=small)
        self.conv3 = nn.Conv2DTranspose(quarter, 1, 2, stride=2, weight_attr=kaiming, bias_attr=bias)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps `[N, C, H, W]` to probabilities `[N, 1, 4H, 4W]`."""
        x = F.relu(self.conv_bn1(self.conv1(x)))
        x = F.relu(self.conv_bn2(self.conv2(x)))
        return F.sigmoid(self.conv3(x))


class DBHead(nn.Layer):
    """Differentiable binarisation: a shrink map, and for training a threshold map and their soft step."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.binarize = MapHead(channels)
        self.thresh = MapHead(channels)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps features to the shrink map `[N, 1, H, W]`; in training also threshold and binary map (3 channels)."""
        shrink = self.binarize(x)
        if not self.training:
            return shrink
        threshold = self.thresh(x)
        binary = 1 / (1 + paddle.exp(-STEEPNESS * (shrink - threshold)))
        return paddle.concat([shrink, threshold, binary], axis=1)


class Detector(nn.Layer):
    """PP-OCRv3's detector (the student).

    In evaluation it maps float32 `[N, 3, H, W]` (BGR, ImageNet mean and std, sides multiples of 32) to a map of text
    probabilities `[N, 1, H, W]`; in training to the three maps of `DBHead`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone = MobileNetV3()
        self.neck = RSEFPN(self.backbone.out_channels)
        self.head = DBHead(self.neck.out_channels)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """See the class."""
        return self.head(self.neck(self.backbone(x)))


class _Ppocrv3Det(Architecture):
    task = "det"
    about = "PP-OCRv3 detector: MobileNetV3-large x0.5, RSE-FPN 96, DB"
    input = PPOCR_INPUTS["det"]
    marks = ("head.binarize.",)
    training_only = ("head.thresh.",)  # An inference model has no threshold map.

    def network(self, classes: int, like: Mapping[str, Any] | None) -> nn.Layer:
        return Detector()

    def published(self) -> PublishedFile:
        return PublishedFile("rapidocr-onnxruntime", "1.2.3", "ch_PP-OCRv3_det_infer.onnx", {}, _created)


def _created(net: nn.Layer) -> Iterator[tuple[str, nn.Layer, str]]:
    # PaddleOCR makes the two convolutions of a pyramid level one after the other, level by level.
    levels = [f"neck.{part}.{level}." for level in range(4) for part in ("ins_conv", "inp_conv")]
    layers = list(net.named_sublayers())
    for prefix in ("backbone", *levels, "head"):
        yield from ((name, layer, layer_kind(layer)) for name, layer in layers if name.startswith(prefix))


ARCHITECTURE = _Ppocrv3Det()
