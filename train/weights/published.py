"""The published PP-OCRv3 weights, out of the ONNX files that `rapidocr-onnxruntime` 1.2.3 carries.

The ONNX files are conversions of PaddleOCR's inference models: their weights are `Constant` nodes that keep Paddle's
own parameter names, which count layers by kind in the order of their creation (`conv2d_57.w_0` is the weight of the
58th convolution). So the map to the kit's networks is a matter of counting in PaddleOCR's order of creation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.base.errors import HostError, ModelError
from edge.base.paths import sha256_file
from train.arch.border import Arrays
from train.weights.assign import assign, build

if TYPE_CHECKING:
    from paddle import nn

PACKAGE = "rapidocr-onnxruntime"
VERSION = "1.2.3"
FILES = {"det": "ch_PP-OCRv3_det_infer.onnx", "rec": "ch_PP-OCRv3_rec_infer.onnx"}
# Where each file's counting begins: PaddleOCR's recogniser was trained as the second network of its process.
FIRST: dict[str, dict[str, int]] = {
    "det": {},
    "rec": {"conv2d": 37, "batch_norm": 27, "batch_norm2d": 5, "linear": 13, "layer_norm": 5},
}
_SUFFIX = {"weight": "w_0", "bias": "b_0", "_mean": "w_1", "_variance": "w_2"}


@dataclass(frozen=True)
class Published:
    """A network with published weights and where they come from.

    Attributes:
        net: In evaluation mode.
        characters: Of a recogniser: the characters of classes 1, 2, ...
        source: For the model card.
    """

    net: nn.Layer
    characters: list[str] | None
    source: dict[str, Any]


def onnx_file(task: str) -> Path:
    """Finds the published ONNX file of `det` or `rec` without importing the package that carries it.

    Raises:
        HostError: The package is not installed, or is another version (1.4 carries PP-OCRv4).
    """
    hint = f"Run `pip install {PACKAGE}=={VERSION}` (or `make setup`)."
    try:
        found = metadata.version(PACKAGE)
    except metadata.PackageNotFoundError as error:
        raise HostError(f"The published weights travel in {PACKAGE}, which is not installed.", hint) from error
    if found != VERSION:
        raise HostError(f"{PACKAGE} {found} does not carry PP-OCRv3's weights; {VERSION} does.", hint)
    spec = find_spec("rapidocr_onnxruntime")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "models" / FILES[task]
        if path.is_file():
            return path
    raise HostError(f"{PACKAGE} {VERSION} is installed without {FILES[task]}.", hint)


def read_onnx(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Reads the constants and the metadata of an ONNX file.

    Returns:
        Name of each `Constant` node's output to its value, and the file's metadata.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(path))
    values = {
        node.output[0]: numpy_helper.to_array(attribute.t)
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    return values, {item.key: item.value for item in model.metadata_props}


def creation_order(net: nn.Layer, task: str) -> Iterator[tuple[str, nn.Layer]]:
    """Yields name and layer in the order in which PaddleOCR creates the layers of the same network."""
    layers = list(net.named_sublayers())
    if task == "rec":
        yield from layers
        return
    # PaddleOCR makes the two convolutions of a pyramid level one after the other, level by level.
    yield from (item for item in layers if item[0].startswith("backbone"))
    for level in range(4):
        for part in ("ins_conv", "inp_conv"):
            yield from (item for item in layers if item[0].startswith(f"neck.{part}.{level}."))
    yield from (item for item in layers if item[0].startswith("head"))


def _kind(name: str, layer: nn.Layer, task: str) -> str | None:
    from paddle import nn

    if isinstance(layer, nn.BatchNorm2D):
        # PaddleOCR's neck uses BatchNorm2D, its backbones the older BatchNorm.
        return "batch_norm2d" if task == "rec" and name.startswith("head") else "batch_norm"
    for kind, cls in (
        ("conv2d_transpose", nn.Conv2DTranspose),
        ("conv2d", nn.Conv2D),
        ("linear", nn.Linear),
        ("layer_norm", nn.LayerNorm),
    ):
        if isinstance(layer, cls):
            return kind
    return None


def published_names(net: nn.Layer, task: str) -> dict[str, str]:
    """Returns the kit's parameter name for each constant of the published file, thresholds' head excepted."""
    counters = Counter(FIRST[task])
    names = {}
    for name, layer in creation_order(net, task):
        kind = _kind(name, layer, task)
        if kind is None or name.startswith("head.thresh."):
            continue
        index = counters[kind]
        counters[kind] += 1
        for parameter in layer.state_dict():
            names[f"{kind}_{index}.{_SUFFIX[parameter]}"] = f"{name}.{parameter}"
    return names


def load_published(task: str) -> Published:
    """Builds PP-OCRv3's detector or recogniser with the published weights.

    Args:
        task: `det` or `rec`.

    Raises:
        HostError: The package with the weights is missing or another version.
        ModelError: The file is not the published one.
    """
    path = onnx_file(task)
    values, properties = read_onnx(path)
    characters = published_characters(properties, path) if task == "rec" else None
    net = build(task, len(characters) + 1 if characters else None)
    names = published_names(net, task)
    # Constants of the graph itself (`Constant_12`) are shapes and activation parameters.
    weights = {names.get(name, name): value for name, value in values.items() if not name.startswith("Constant_")}
    assign(net, weights, path.name)
    net.eval()
    source = {"package": PACKAGE, "version": VERSION, "file": path.name, "sha256": sha256_file(path)}
    return Published(net, characters, source)


def published_characters(properties: dict[str, str], path: Path) -> list[str]:
    """Returns the characters of classes 1, 2, ...: the file's dictionary and, as PaddleOCR adds it, the space.

    Raises:
        ModelError: The file's metadata has no dictionary.
    """
    text = properties.get("character")
    if not text:
        raise ModelError(f"{path.name} carries no dictionary in its metadata.", f"Reinstall {PACKAGE}=={VERSION}.")
    return [*text.rstrip("\n").split("\n"), " "]
