"""Depthwise convolutions by a kernel of the kit's own, on the CPU; parameters and state dict stay as they are."""

from __future__ import annotations

import types
from functools import lru_cache
from typing import Any

from train.accel.native import load_kernel
from train.arch.border import Layer, Tensor


def accelerate(network: Layer) -> int:
    """Makes the depthwise convolutions of a network fast on the CPU.

    Args:
        network: One of the kit's networks, plain or prepared for quantisation-aware training. It cannot be exported
            afterwards (a graph cannot hold these functions): load its weights into a plain one for that.

    Returns:
        How many layers were changed: 0 on a GPU, without a C++ compiler, and where `PLATE_EDGE_ACCEL=0`.
    """
    import paddle

    if not paddle.get_device().startswith("cpu") or _function() is None:
        return 0
    quantized = paddle.nn.quant.quant_layers.QuantizedConv2D
    changed = 0
    for layer in network.sublayers(include_self=True):
        if type(layer) is paddle.nn.Conv2D:
            forward = _forward
        elif type(layer) is quantized and layer._weight_preprocess is None:
            forward = _quantized_forward
        else:
            continue
        if _fits(layer):
            layer.forward = types.MethodType(forward, layer)
            changed += 1
    return changed


def _fits(layer: Layer) -> bool:
    out_channels, in_channels, *kernel = layer.weight.shape
    padding = layer._padding
    return (
        layer._groups == out_channels > 1
        and in_channels == 1
        and kernel in ([3, 3], [5, 5])
        and not isinstance(padding, str)
        and set(_pair(padding)) == {kernel[0] // 2}
        and max(_pair(layer._stride)) <= 2
        and _pair(layer._dilation) == (1, 1)
        and (layer._data_format, layer._padding_mode) == ("NCHW", "zeros")
    )


def _forward(layer: Layer, x: Tensor) -> Tensor:
    return _convolve(layer, x, layer.weight)


def _quantized_forward(layer: Layer, x: Tensor) -> Tensor:
    if layer._act_preprocess is not None:
        x = layer._act_preprocess(x)
    return _convolve(layer, layer._fake_quant_input(x), layer._fake_quant_weight(layer.weight))


def _convolve(layer: Layer, x: Tensor, weight: Tensor) -> Tensor:
    y = _function().apply(x, weight, _pair(layer._stride))
    return y if layer.bias is None else y + layer.bias.reshape([1, -1, 1, 1])


@lru_cache(maxsize=1)
def _function() -> Any:
    import paddle
    from paddle.autograd import PyLayer

    kernel: Any = load_kernel()
    if kernel is None:
        return None

    class Depthwise(PyLayer):
        """`conv2d(x, weight, groups=C)`, padding K // 2; x [N,C,H,W], weight [C,1,K,K], float32."""

        @staticmethod
        def forward(ctx: Any, x: Tensor, weight: Tensor, stride: tuple[int, int]) -> Tensor:
            x, weight = x.contiguous(), weight.contiguous()
            n, c, h, w = x.shape
            y = paddle.empty([n, c, (h - 1) // stride[0] + 1, (w - 1) // stride[1] + 1], dtype="float32")
            shape = (n, c, h, w, weight.shape[2], *stride)
            if kernel.depthwise_forward(x.data_ptr(), weight.data_ptr(), y.data_ptr(), *shape):
                raise AssertionError(f"no kernel for {shape}")
            ctx.save_for_backward(x, weight)
            ctx.shape = shape
            return y

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor]:
            x, weight = ctx.saved_tensor()
            dy = dy.contiguous()
            dx, dweight = paddle.empty_like(x), paddle.empty_like(weight)
            pointers = [value.data_ptr() for value in (x, weight, dy, dx, dweight)]
            kernel.depthwise_backward(*pointers, *ctx.shape)
            return dx, dweight

    return Depthwise


def _pair(value: Any) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)
