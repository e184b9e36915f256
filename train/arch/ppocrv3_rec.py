"""PP-OCRv3's text recogniser: MobileNetV1Enhance x0.5, SVTR neck, CTC head.

Li et al. 2022 (PP-OCRv3, arXiv 2206.03001), Du et al. 2022 (SVTR, arXiv 2205.00159). The settings are those of
PaddleOCR's `configs/rec/PP-OCRv3/ch_PP-OCRv3_rec.yml` without the attention branch that only guides training, and so
are the parameter names (`head.ctc_encoder.encoder.svtr_block.0.mixer.qkv.weight` ...).

The deployed form is the same function but for rounding (a test holds it to 1e-5):

- The neck works on a map of height 1 with 3x3 kernels, whose upper and lower rows only ever meet the padding. A 1x3
  kernel computes the same; 590,000 weights go, a fifth of the published recogniser.
- Attention scales its queries by `head_dim ** -0.5`; the factor goes into the query columns of the `qkv` layer.

Batch norms stay: Paddle Lite's optimiser folds them, and quantisation needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import paddle
import paddle.nn.functional as F
from paddle import nn

from edge.model.card import PPOCR_INPUTS
from train.arch.architecture import Architecture, PublishedFile
from train.arch.blocks import ChannelGate, ConvNorm, Size, layer_kind

# Input and output channels, kernel of the depthwise convolution, stride, channel gate.
BLOCKS: tuple[tuple[int, int, int, Size, bool], ...] = (
    (16, 32, 3, 1, False),
    (32, 64, 3, 1, False),
    (64, 64, 3, 1, False),
    (64, 128, 3, (2, 1), False),
    (128, 128, 3, 1, False),
    (128, 256, 3, (2, 1), False),
    *((256, 256, 5, 1, False),) * 5,
    (256, 512, 5, (2, 1), True),
    (512, 512, 5, (1, 2), True),
)
WIDTHS = tuple(block[1] for block in BLOCKS)
HIDDEN = 120
DIMS = 64
DEPTH = 2
HEADS = 8
MLP_RATIO = 2
DROP = 0.1
_NAMES = ("_conv", "_batch_norm")
_NECK_NAMES = ("conv", "norm")


class DepthwiseSeparable(nn.Layer):
    """Depthwise convolution, an optional gate (of `gate` channels inside), pointwise convolution; hard swish after both."""

    def __init__(self, channels: tuple[int, int], kernel: int, stride: Size, gate: int) -> None:
        super().__init__()
        inside = channels[0]
        self._depthwise_conv = ConvNorm((inside, inside), kernel, stride, inside, "hard_swish", _NAMES)
        self._se = ChannelGate(inside, slope=0.1666667, middle=gate) if gate else None
        self._pointwise_conv = ConvNorm(channels, 1, act="hard_swish", names=_NAMES)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps `[N, Cin, H, W]` to `[N, Cout, H / stride, W / stride]`."""
        x = self._depthwise_conv(x)
        if self._se is not None:
            x = self._se(x)
        return self._pointwise_conv(x)


class MobileNetV1Enhance(nn.Layer):
    """MobileNetV1 x0.5 with 5x5 kernels and gates at its end; strides mostly halve only the height.

    Args:
        widths: Output channels of each block where filters were pruned; None for PP-OCRv3's own.
    """

    def __init__(self, widths: tuple[int, ...] | None = None) -> None:
        super().__init__()
        taken = widths or WIDTHS
        self.conv1 = ConvNorm((3, BLOCKS[0][0]), 3, 2, act="hard_swish", names=_NAMES)
        self.block_list = nn.Sequential(
            *(
                # Pruning leaves the middle of a gate as it is.
                DepthwiseSeparable((before, after), kernel, stride, inside // 4 if gate else 0)
                for before, after, (inside, _, kernel, stride, gate) in zip(
                    (BLOCKS[0][0], *taken), taken, BLOCKS, strict=False
                )
            )
        )
        self.pool = nn.AvgPool2D(2, stride=2)
        self.out_channels = taken[-1]

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps `[N, 3, 48, W]` to `[N, 512, 1, W / 8]`."""
        return self.pool(self.block_list(self.conv1(x)))


class Attention(nn.Layer):
    """Global multi-head self-attention."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.head_dim = dim // HEADS
        self.scale = self.head_dim**-0.5
        self.qkv = nn.Linear(dim, dim * 3)
        self.attn_drop = nn.Dropout(DROP)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(DROP)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps `[N, T, C]` to `[N, T, C]`."""
        qkv = self.qkv(x).reshape([0, -1, 3, HEADS, self.head_dim]).transpose([2, 0, 3, 1, 4])
        query, key, value = qkv[0], qkv[1], qkv[2]
        if self.scale != 1.0:  # 1.0 once the deployed form has it in the weights
            query = query * self.scale
        weights = F.softmax(query.matmul(key.transpose([0, 1, 3, 2])), axis=-1)
        x = self.attn_drop(weights).matmul(value).transpose([0, 2, 1, 3]).reshape([0, -1, self.dim])
        return self.proj_drop(self.proj(x))


class Mlp(nn.Layer):
    """Two linear layers with swish between."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, dim * MLP_RATIO)
        self.fc2 = nn.Linear(dim * MLP_RATIO, dim)
        self.drop = nn.Dropout(DROP)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps `[N, T, C]` to `[N, T, C]`."""
        return self.drop(self.fc2(self.drop(F.swish(self.fc1(x)))))


class SVTRBlock(nn.Layer):
    """Layer norm before attention and before the MLP, each with a shortcut."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, epsilon=1e-5)
        self.mixer = Attention(dim)
        self.norm2 = nn.LayerNorm(dim, epsilon=1e-5)
        self.mlp = Mlp(dim)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps `[N, T, C]` to `[N, T, C]`."""
        x = x + self.mixer(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class SVTREncoder(nn.Layer):
    """PP-OCRv3's light SVTR neck: reduce, two global blocks, restore, concatenate with the input, reduce.

    PaddleOCR keeps its gradients from the backbone, which an attention branch trains there; without that branch the
    backbone would not learn at all, so here they pass.

    Args:
        channels: Channels of the backbone's map, whose height is 1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = channels // 8

        def conv(inside: int, outside: int, kernel: int) -> ConvNorm:
            return ConvNorm((inside, outside), kernel, act="swish", names=_NECK_NAMES)

        self.conv1 = conv(channels, reduced, 3)
        self.conv2 = conv(reduced, HIDDEN, 1)
        self.svtr_block = nn.LayerList([SVTRBlock(HIDDEN) for _ in range(DEPTH)])
        self.norm = nn.LayerNorm(HIDDEN, epsilon=1e-6)
        self.conv3 = conv(HIDDEN, channels, 1)
        self.conv4 = conv(2 * channels, reduced, 3)
        self.conv1x1 = conv(reduced, DIMS, 1)
        self.out_channels = DIMS
        self.apply(_initialise)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps `[N, C, 1, T]` to `[N, 64, 1, T]`."""
        z = self.conv2(self.conv1(x))
        z = z.squeeze(2).transpose([0, 2, 1])
        for block in self.svtr_block:
            z = block(z)
        z = self.norm(z).transpose([0, 2, 1]).unsqueeze(2)
        z = paddle.concat([x, self.conv3(z)], axis=1)
        return self.conv1x1(self.conv4(z))


def _initialise(layer: nn.Layer) -> None:
    if isinstance(layer, nn.Linear):
        nn.initializer.TruncatedNormal(std=0.02)(layer.weight)
        nn.initializer.Constant(0.0)(layer.bias)


class SequenceEncoder(nn.Layer):
    """The neck under the name that PaddleOCR's checkpoints give it (`ctc_encoder.encoder`), then map to sequence."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encoder = SVTREncoder(channels)
        self.out_channels = self.encoder.out_channels

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps `[N, C, 1, T]` to `[N, T, 64]`."""
        return self.encoder(x).squeeze(2).transpose([0, 2, 1])


class CTCHead(nn.Layer):
    """A linear layer to class scores; softmax outside training."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        bound = channels**-0.5
        uniform = paddle.ParamAttr(initializer=nn.initializer.Uniform(-bound, bound))
        self.fc = nn.Linear(channels, classes, weight_attr=uniform, bias_attr=uniform)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps `[N, T, C]` to logits `[N, T, classes]` in training, else to probabilities."""
        scores = self.fc(x)
        return scores if self.training else F.softmax(scores, axis=2)


class MultiHead(nn.Layer):
    """Neck and CTC head under the names that PaddleOCR's checkpoints give them."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.ctc_encoder = SequenceEncoder(channels)
        self.ctc_head = CTCHead(self.ctc_encoder.out_channels, classes)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Maps the backbone's map to class scores, see `CTCHead`."""
        return self.ctc_head(self.ctc_encoder(x))


class Recognizer(nn.Layer):
    """PP-OCRv3's recogniser.

    Maps float32 `[N, 3, 48, W]` (BGR in -1..1, W a multiple of 8) to `[N, W / 8, classes]`: probabilities in
    evaluation, logits in training; class 0 is the CTC blank.

    Args:
        classes: Characters of the dictionary + 1.
        widths: See `MobileNetV1Enhance`.
    """

    def __init__(self, classes: int, widths: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.backbone = MobileNetV1Enhance(widths)
        self.head = MultiHead(self.backbone.out_channels, classes)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """See the class."""
        return self.head(self.backbone(x))


def block_widths(values: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Reads the output channels of the blocks off parameters; None when they are PP-OCRv3's own.

    Only filters that pruning removed are followed: no block may be wider than PP-OCRv3's, and the last one, which the
    neck expects, must be whole. Everything else is left to `train.weights.assign`, which names what does not fit.
    """
    widths = []
    for index, whole in enumerate(WIDTHS):
        name = f"backbone.block_list.{index}._pointwise_conv._conv"
        weight = next((values[key] for key in (f"{name}.weight", f"{name}._layer.weight") if key in values), None)
        if weight is None or len(weight.shape) != 4 or not 1 <= weight.shape[0] <= whole:
            return None
        widths.append(int(weight.shape[0]))
    return tuple(widths) if tuple(widths) != WIDTHS and widths[-1] == WIDTHS[-1] else None


def _drop_padding_rows(part: ConvNorm) -> None:
    old = part.conv
    outside, inside, height, width = old.weight.shape
    new = nn.Conv2D(inside, outside, (1, width), padding=(0, width // 2), bias_attr=False)
    new.weight.set_value(old.weight[:, :, height // 2 : height // 2 + 1, :])
    part.replace_conv(new)


def _fold_query_scale(layer: Attention) -> None:
    # Columns of qkv are ordered (query, key, value) x heads x head_dim, so the first third is the query's.
    factor = paddle.ones([3 * layer.dim])
    factor[: layer.dim] = layer.scale
    layer.qkv.weight.set_value(layer.qkv.weight * factor)
    layer.qkv.bias.set_value(layer.qkv.bias * factor)
    layer.scale = 1.0


class _Ppocrv3Rec(Architecture):
    task = "rec"
    about = "PP-OCRv3 recogniser: MobileNetV1Enhance x0.5, SVTR 64x2, CTC"
    input = PPOCR_INPUTS["rec"]
    stride = 8
    marks = ("ctc_",)
    foreign = ("head.sar_head.", "head.gtc_head.", "head.before_gtc.")  # PaddleOCR's attention branch.
    head = ("head.ctc_head.fc.weight", "head.ctc_head.fc.bias")

    def network(self, classes: int, like: Mapping[str, Any] | None) -> nn.Layer:
        return Recognizer(classes, block_widths(like) if like else None)

    def simplify(self, net: nn.Layer) -> None:
        for layer in net.sublayers():
            if isinstance(layer, SVTREncoder):
                for part in (layer.conv1, layer.conv4):
                    _drop_padding_rows(part)
            elif isinstance(layer, Attention):
                _fold_query_scale(layer)

    def published(self) -> PublishedFile:
        # PaddleOCR's recogniser was trained as the second network of its process.
        first = {"conv2d": 37, "batch_norm": 27, "batch_norm2d": 5, "linear": 13, "layer_norm": 5}
        return PublishedFile("rapidocr-onnxruntime", "1.2.3", "ch_PP-OCRv3_rec_infer.onnx", first, _created)

    def prunable(self, net: nn.Layer) -> list[str]:
        # The last block feeds the neck's concatenation, whose width the head expects.
        return [name for name in net.state_dict() if name.endswith("_pointwise_conv._conv.weight")][:-1]


def _created(net: nn.Layer) -> Iterator[tuple[str, nn.Layer, str]]:
    for name, layer in net.named_sublayers():
        kind = layer_kind(layer)
        # PaddleOCR's neck uses BatchNorm2D, its backbones the older BatchNorm.
        yield name, layer, "batch_norm2d" if kind == "batch_norm" and name.startswith("head") else kind


ARCHITECTURE = _Ppocrv3Rec()
