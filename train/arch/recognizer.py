"""PP-OCRv3's text recogniser: MobileNetV1Enhance x0.5, SVTR neck, CTC head.

Li et al. 2022 (PP-OCRv3, arXiv 2206.03001), Du et al. 2022 (SVTR, arXiv 2205.00159). The settings are those of
PaddleOCR's `configs/rec/PP-OCRv3/ch_PP-OCRv3_rec.yml` without the attention branch that only guides training, and so
are the parameter names (`head.ctc_encoder.encoder.svtr_block.0.mixer.qkv.weight` ...).
"""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn

from train.arch.blocks import ChannelGate, ConvNorm, Size

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
    """MobileNetV1 x0.5 with 5x5 kernels and gates at its end; strides mostly halve the height alone.

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
        if self.scale != 1.0:  # 1.0 once the deployed form has it in the weights (see train.export.deploy)
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

    Args:
        channels: Channels of the backbone's map, whose height is 1.
        guide: Keep gradients from the backbone, as PP-OCRv3 does where an attention branch trains it. Without that
            branch the backbone would not learn at all, so the kit's own fits leave it off.
    """

    def __init__(self, channels: int, guide: bool = False) -> None:
        super().__init__()
        self.guide = guide
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
        if self.guide and self.training:
            x = x.detach()
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

    def __init__(self, channels: int, guide: bool) -> None:
        super().__init__()
        self.encoder = SVTREncoder(channels, guide)
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

    def __init__(self, channels: int, classes: int, guide: bool) -> None:
        super().__init__()
        self.ctc_encoder = SequenceEncoder(channels, guide)
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
        guide: See `SVTREncoder`.
        widths: See `MobileNetV1Enhance`.
    """

    def __init__(self, classes: int, guide: bool = False, widths: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.classes = classes
        self.widths = widths
        self.backbone = MobileNetV1Enhance(widths)
        self.head = MultiHead(self.backbone.out_channels, classes, guide)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """See the class."""
        return self.head(self.backbone(x))
