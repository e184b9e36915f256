"""Networks as lists of layers: those of the published benchmark, and PP-OCRv3's two."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

# A line a layer, as the kit's own Paddle definition builds them: channels, kernel, groups, and by how much the output is
# smaller than the network's input (0: a single row or column). Attention's two small products and all element-wise work
# are left out; they count as memory traffic of the layers around them.
_PPOCRV3 = Path(__file__).with_name("ppocrv3.csv")
# Of the published recogniser; another one differs only in its classes.
_CLASSES = 6625


@dataclass(frozen=True)
class LayerCost:
    """One convolution or matrix product.

    Attributes:
        kind: `dense` (1x1, linear), `spatial` (larger kernel, all channels), `depthwise`.
        macs: Multiply-accumulates.
        activations: Values read and written.
        weights: Values.
    """

    kind: str
    macs: float
    activations: float
    weights: float


def conv(
    cin: int, cout: int, kernel: tuple[int, int], groups: int, out: tuple[float, float], stride: float = 1
) -> LayerCost:
    """A convolution with `out` rows and columns of output."""
    area = out[0] * out[1]
    weights = cin * cout * kernel[0] * kernel[1] / groups
    kind = "depthwise" if groups > 1 and groups == cin else "dense" if kernel == (1, 1) else "spatial"
    return LayerCost(kind, weights * area, area * (cin * stride * stride + cout), weights)


@lru_cache(maxsize=32)
def network(name: str) -> tuple[LayerCost, ...]:
    """Layers of a network of the published benchmark, input 224 x 224.

    Sources: Howard et al. 2017 (V1), Sandler et al. 2018 (V2), Howard et al. 2019 (V3), He et al. 2015 (ResNet).
    """
    makers = {
        "MobileNetV1": _v1, "MobileNetV2": _v2, "MobileNetV3_large": lambda: _v3(_LARGE, 960, 1280),
        "MobileNetV3_small": lambda: _v3(_SMALL, 576, 1024), "ResNet50": _resnet50,
    }  # fmt: skip
    return tuple(makers[name]())


@lru_cache(maxsize=64)
def ppocr(task: str, height: int, width: int, classes: int = _CLASSES) -> tuple[LayerCost, ...]:
    """Layers of PP-OCRv3's detector (`det`) or recogniser (`rec`) for an input of that size, in pixels."""
    layers = []
    for kind, cin, cout, kh, kw, groups, down, across in _ppocrv3(task):
        out = (height / down if down else 1.0, width / across if across else 1.0)
        if task == "rec" and cout == _CLASSES:
            cout = classes
        if kind == "deconv":
            # Each output pixel takes one of the kernel's places.
            layer = conv(cin, cout, (1, 1), 1, out, 0.5)
            layer = LayerCost("dense", layer.macs, layer.activations, layer.weights * kh * kw)
        else:
            layer = conv(cin, cout, (kh, kw), groups, out)
        layers.append(layer)
    return tuple(layers)


def _ppocrv3(task: str) -> list[tuple[str, int, int, int, int, int, int, int]]:
    with _PPOCRV3.open(encoding="ascii", newline="") as stream:
        rows = [row for name, *row in csv.reader(stream) if name == task]
    return [(kind, *map(int, figures)) for kind, *figures in rows]  # type: ignore[misc]


def _v1() -> list[LayerCost]:
    layers, cin, size = [conv(3, 32, (3, 3), 1, (112, 112), 2)], 32, 112
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for cout, stride in plan:
        size //= stride
        layers += [
            conv(cin, cin, (3, 3), cin, (size, size), stride),
            conv(cin, cout, (1, 1), 1, (size, size)),
        ]
        cin = cout
    return [*layers, conv(1024, 1000, (1, 1), 1, (1, 1))]


def _v2() -> list[LayerCost]:
    layers, cin, size = [conv(3, 32, (3, 3), 1, (112, 112), 2)], 32, 112
    plan = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for factor, cout, count, first in plan:
        for number in range(count):
            stride = first if number == 0 else 1
            wide = cin * factor
            if factor > 1:
                layers.append(conv(cin, wide, (1, 1), 1, (size, size)))
            size //= stride
            layers += [
                conv(wide, wide, (3, 3), wide, (size, size), stride),
                conv(wide, cout, (1, 1), 1, (size, size)),
            ]
            cin = cout
    return [*layers, conv(320, 1280, (1, 1), 1, (size, size)), conv(1280, 1000, (1, 1), 1, (1, 1))]


# Kernel, expansion, output, squeeze-and-excitation, stride.
_LARGE = (
    (3, 16, 16, 0, 1), (3, 64, 24, 0, 2), (3, 72, 24, 0, 1), (5, 72, 40, 1, 2), (5, 120, 40, 1, 1), (5, 120, 40, 1, 1),
    (3, 240, 80, 0, 2), (3, 200, 80, 0, 1), (3, 184, 80, 0, 1), (3, 184, 80, 0, 1), (3, 480, 112, 1, 1),
    (3, 672, 112, 1, 1), (5, 672, 160, 1, 2), (5, 960, 160, 1, 1), (5, 960, 160, 1, 1),
)  # fmt: skip
_SMALL = (
    (3, 16, 16, 1, 2), (3, 72, 24, 0, 2), (3, 88, 24, 0, 1), (5, 96, 40, 1, 2), (5, 240, 40, 1, 1), (5, 240, 40, 1, 1),
    (5, 120, 48, 1, 1), (5, 144, 48, 1, 1), (5, 288, 96, 1, 2), (5, 576, 96, 1, 1), (5, 576, 96, 1, 1),
)  # fmt: skip


def _v3(plan: tuple[tuple[int, int, int, int, int], ...], last: int, head: int) -> list[LayerCost]:
    layers, cin, size = [conv(3, 16, (3, 3), 1, (112, 112), 2)], 16, 112
    for kernel, wide, cout, gate, stride in plan:
        if wide != cin:
            layers.append(conv(cin, wide, (1, 1), 1, (size, size)))
        size //= stride
        layers.append(conv(wide, wide, (kernel, kernel), wide, (size, size), stride))
        if gate:
            layers += [conv(wide, wide // 4, (1, 1), 1, (1, 1)), conv(wide // 4, wide, (1, 1), 1, (1, 1))]
            # Pooling reads the map once more, scaling reads and writes it.
            layers.append(LayerCost("dense", 0.0, 3.0 * wide * size * size, 0.0))
        layers.append(conv(wide, cout, (1, 1), 1, (size, size)))
        cin = cout
    layers.append(conv(cin, last, (1, 1), 1, (size, size)))
    return [*layers, conv(last, head, (1, 1), 1, (1, 1)), conv(head, 1000, (1, 1), 1, (1, 1))]


def _resnet50() -> list[LayerCost]:
    layers, cin, size = [conv(3, 64, (7, 7), 1, (112, 112), 2)], 64, 56
    for width, count, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(count):
            stride = first if number == 0 else 1
            layers.append(conv(cin, width, (1, 1), 1, (size, size)))
            size //= stride
            layers.append(conv(width, width, (3, 3), 1, (size, size), stride))
            layers.append(conv(width, 4 * width, (1, 1), 1, (size, size)))
            if number == 0:
                layers.append(conv(cin, 4 * width, (1, 1), 1, (size, size), stride))
            cin = 4 * width
    return [*layers, conv(2048, 1000, (1, 1), 1, (1, 1))]
