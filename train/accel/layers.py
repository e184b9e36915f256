"""Replaces the forward pass of a network's convolutions by faster ones; parameters and state dict stay as they are."""

from __future__ import annotations

import types
from typing import Any

from train.accel.native import load_kernels


def accelerate(network: Any) -> int:
    """Makes every depthwise and 1x1 convolution of a network fast on the CPU, for training and inference alike.

    Args:
        network: A `paddle.nn.Layer`, before it is wrapped for quantisation-aware training (that replaces the layers).

    Returns:
        How many layers were changed: 0 on a GPU; only 1x1 ones without a C++ compiler.
    """
    import paddle

    if not isinstance(paddle.get_device(), str) or not paddle.get_device().startswith("cpu"):
        return 0
    kernels = load_kernels()
    depthwise = _depthwise_function(kernels) if kernels is not None else None
    changed = 0
    for layer in network.sublayers(include_self=True):
        if type(layer) is not paddle.nn.Conv2D:
            continue
        forward = _forward_for(layer, depthwise)
        if forward is not None:
            layer.forward = types.MethodType(forward, layer)
            changed += 1
    return changed


def _forward_for(layer: Any, depthwise: Any) -> Any:
    kernel, stride = tuple(layer._kernel_size), _pair(layer._stride)
    padding, dilation = layer._padding, _pair(layer._dilation)
    if dilation != (1, 1) or layer._data_format != "NCHW" or layer._padding_mode != "zeros":
        return None
    if isinstance(padding, str) or len({*_pair(padding)}) != 1:
        return None
    pad = _pair(padding)[0]
    if kernel == (1, 1) and stride == (1, 1) and layer._groups == 1 and pad == 0:
        return _pointwise_forward
    square = kernel[0] == kernel[1] and kernel[0] in (3, 5)
    own = layer._groups == layer._in_channels == layer._out_channels and layer._groups > 1
    if depthwise and square and own and pad == kernel[0] // 2 and max(stride) <= 2:

        def forward(self: Any, x: Any) -> Any:
            y = depthwise.apply(x, self.weight, stride)
            return y if self.bias is None else y + self.bias.reshape([1, -1, 1, 1])

        return forward
    return None


def _pointwise_forward(self: Any, x: Any) -> Any:
    import paddle

    n, c, h, w = x.shape
    # Paddle's conv2d copies the image by im2col even for a 1x1 kernel; a plain matrix product does not.
    y = paddle.matmul(self.weight.reshape([-1, c]), x.reshape([n, c, h * w]))
    y = y.reshape([n, -1, h, w])
    return y if self.bias is None else y + self.bias.reshape([1, -1, 1, 1])


def _depthwise_function(kernels: Any) -> Any:
    import paddle
    from paddle.autograd import PyLayer

    class Depthwise(PyLayer):
        """`conv2d(x, weight, groups=C)`, padding K // 2; x [N,C,H,W], weight [C,1,K,K], float32."""

        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, stride: tuple[int, int]) -> Any:
            x, weight = x.contiguous(), weight.contiguous()
            n, c, h, w = x.shape
            y = paddle.empty([n, c, (h - 1) // stride[0] + 1, (w - 1) // stride[1] + 1], dtype="float32")
            shape = (n, c, h, w, weight.shape[2], *stride)
            if kernels.depthwise_forward(x.data_ptr(), weight.data_ptr(), y.data_ptr(), *shape):
                raise AssertionError(f"no kernel for {shape}")
            ctx.save_for_backward(x, weight)
            ctx.shape, ctx.needs_input = shape, not x.stop_gradient
            return y

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            x, weight = ctx.saved_tensor()
            dy = dy.contiguous()
            dx, dweight = paddle.empty_like(x), paddle.empty_like(weight)
            kernels.depthwise_backward(
                x.data_ptr(), weight.data_ptr(), dy.data_ptr(), dx.data_ptr(), dweight.data_ptr(), *ctx.shape
            )
            return dx, dweight

    return Depthwise


def _pair(value: Any) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)
