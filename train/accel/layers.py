"""Replaces the forward pass of a network's layers by faster ones; parameters and state dict stay as they are."""

from __future__ import annotations

import types
from functools import lru_cache
from typing import Any

from train.accel.native import load_kernels


def accelerate(network: Any) -> int:
    """Makes depthwise and 1x1 convolutions, and batch norm with its activation, of a network fast on the CPU.

    Args:
        network: One of the kit's networks, plain or prepared for quantisation-aware training. It cannot be exported
            afterwards (a graph cannot hold these functions): load its weights into a plain one for that.

    Returns:
        How many layers were changed: 0 on a GPU; only 1x1 convolutions without a C++ compiler.
    """
    import paddle

    from train.arch.blocks import ConvNorm

    if not paddle.get_device().startswith("cpu"):
        return 0
    changed = 0
    for layer in network.sublayers(include_self=True):
        if isinstance(layer, ConvNorm):
            forward = _conv_norm_forward(layer)
        elif type(layer) is paddle.nn.Conv2D:
            forward = _conv_forward(layer)
        elif type(layer) is paddle.nn.quant.quant_layers.QuantizedConv2D:
            forward = _quantized_forward(layer)
        else:
            continue
        if forward is not None:
            layer.forward = types.MethodType(forward, layer)
            changed += 1
    return changed


def _conv_forward(layer: Any) -> Any:
    fast = _fast_convolution(layer)
    return fast and (lambda self, x: fast(x, self.weight, self.bias))


def _quantized_forward(layer: Any) -> Any:
    fast = _fast_convolution(layer)
    if fast is None or layer._weight_preprocess is not None:
        return None

    def forward(self: Any, x: Any) -> Any:
        if self._act_preprocess is not None:
            x = self._act_preprocess(x)
        return fast(self._fake_quant_input(x), self._fake_quant_weight(self.weight), self.bias)

    return forward


def _fast_convolution(layer: Any) -> Any:
    """Returns a function of (x, weight, bias) that computes a convolution layer, None where there is no faster one."""
    out_channels, in_channels, *kernel = layer.weight.shape
    stride, padding, dilation = _pair(layer._stride), layer._padding, _pair(layer._dilation)
    if dilation != (1, 1) or layer._data_format != "NCHW" or layer._padding_mode != "zeros":
        return None
    if isinstance(padding, str) or len(set(_pair(padding))) != 1:
        return None
    pad = _pair(padding)[0]
    if kernel == [1, 1] and stride == (1, 1) and layer._groups == 1 and pad == 0:
        return _pointwise
    own = layer._groups == out_channels > 1 and in_channels == 1
    fits = kernel in ([3, 3], [5, 5]) and pad == kernel[0] // 2 and max(stride) <= 2
    depthwise = _depthwise_function() if own and fits else None
    if depthwise is None:
        return None

    def convolve(x: Any, weight: Any, bias: Any) -> Any:
        y = depthwise.apply(x, weight, stride)
        return y if bias is None else y + bias.reshape([1, -1, 1, 1])

    return convolve


def _pointwise(x: Any, weight: Any, bias: Any) -> Any:
    import paddle

    n, c, h, w = x.shape
    # Paddle's conv2d copies the image by im2col even for a 1x1 kernel; a plain matrix product does not.
    y = paddle.matmul(weight.reshape([-1, c]), x.reshape([n, c, h * w])).reshape([n, -1, h, w])
    return y if bias is None else y + bias.reshape([1, -1, 1, 1])


def _conv_norm_forward(layer: Any) -> Any:
    kinds = {None: 0, "relu": 1, "hard_swish": 2}
    norm_act = _norm_act_function()
    if norm_act is None or layer.act not in kinds:
        return None
    kind = kinds[layer.act]

    def forward(self: Any, x: Any) -> Any:
        from train.arch.blocks import activate

        conv, norm = (self._sub_layers[name] for name in self.names)
        y = conv(x)
        # Of a single value a channel there are no statistics; Paddle lets it pass.
        if not norm.training or norm._use_global_stats or y.size == y.shape[1]:
            return activate(norm(y), self.act)
        return norm_act.apply(y, norm.weight, norm.bias, norm, kind)

    return forward


@lru_cache(maxsize=1)
def _depthwise_function() -> Any:
    import paddle
    from paddle.autograd import PyLayer

    kernels: Any = load_kernels()
    if kernels is None:
        return None

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
            ctx.shape = shape
            return y

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            x, weight = ctx.saved_tensor()
            dy = dy.contiguous()
            dx, dweight = paddle.empty_like(x), paddle.empty_like(weight)
            pointers = [value.data_ptr() for value in (x, weight, dy, dx, dweight)]
            kernels.depthwise_backward(*pointers, *ctx.shape)
            return dx, dweight

    return Depthwise


@lru_cache(maxsize=1)
def _norm_act_function() -> Any:
    import paddle
    from paddle.autograd import PyLayer

    kernels: Any = load_kernels()
    if kernels is None:
        return None

    class NormAct(PyLayer):
        """Batch norm with the batch's statistics, then none, relu or hard-swish; updates the running statistics."""

        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, bias: Any, norm: Any, kind: int) -> Any:
            x = x.contiguous()
            n, c = x.shape[:2]
            shape = (n, c, x.size // (n * c), kind)
            y, mean, variance = paddle.empty_like(x), paddle.empty_like(weight), paddle.empty_like(weight)
            before = [value.data_ptr() for value in (x, weight, bias)]
            after = [value.data_ptr() for value in (y, mean, variance)]
            kernels.norm_act_forward(*before, norm._epsilon, *after, *shape)
            keep = norm._momentum
            for running, now in ((norm._mean, mean), (norm._variance, variance)):
                running.set_value(running * keep + now * (1 - keep))
            ctx.save_for_backward(x, weight, bias, mean, variance)
            ctx.shape, ctx.epsilon = shape, norm._epsilon
            return y

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            x, weight, bias, mean, variance = ctx.saved_tensor()
            dy = dy.contiguous()
            dx, dweight, dbias = paddle.empty_like(x), paddle.empty_like(weight), paddle.empty_like(bias)
            before = [value.data_ptr() for value in (x, weight, bias)]
            after = [value.data_ptr() for value in (mean, variance, dy, dx, dweight, dbias)]
            kernels.norm_act_backward(*before, ctx.epsilon, *after, *ctx.shape)
            return dx, dweight, dbias

    return NormAct


def _pair(value: Any) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)
