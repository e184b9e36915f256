"""The deployed form of a network: the same function with fewer weights and operators.

Two rewrites, both exact but for rounding (a test holds them to 1e-5):

- The recogniser's neck works on a map of height 1 with 3x3 kernels, whose upper and lower rows only ever meet the
  padding. A 1x3 kernel computes the same; 590,000 weights go, a fifth of the published recogniser.
- Attention scales its queries by `head_dim ** -0.5`; the factor goes into the query columns of the `qkv` layer.

Batch norms stay: Paddle Lite's optimiser folds them, and quantisation wants to see them.
"""

from __future__ import annotations

import paddle
from paddle import nn
from paddle.utils import unique_name

from train.arch.blocks import ConvNorm
from train.arch.detector import Detector
from train.arch.recognizer import Attention, Recognizer, SVTREncoder


def deployed(net: nn.Layer) -> nn.Layer:
    """Returns a copy of a network in evaluation mode and in the deployed form.

    The copy is built anew, so its parameters have the same names in every process; a file made of it is reproducible.

    Args:
        net: A `Detector` or `Recognizer`, not quantised and not deployed yet; it is not changed.
    """
    with unique_name.guard(), paddle.no_grad():
        result: nn.Layer = Recognizer(net.classes, widths=net.widths) if isinstance(net, Recognizer) else Detector()
        values = net.state_dict()
        for name, parameter in result.state_dict().items():
            parameter.set_value(values[name])
        for layer in result.sublayers():
            if isinstance(layer, SVTREncoder):
                for part in (layer.conv1, layer.conv4):
                    _drop_padding_rows(part)
            elif isinstance(layer, Attention):
                _fold_query_scale(layer)
    result.eval()
    return result


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
