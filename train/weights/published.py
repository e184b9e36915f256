"""The published weights of an architecture, out of the ONNX file that a package carries.

The ONNX files are conversions of PaddleOCR's inference models: their weights are `Constant` nodes that keep Paddle's
own parameter names, which count layers by kind in the order of their creation (`conv2d_57.w_0` is the weight of the
58th convolution). So the map to the kit's networks is a matter of counting in PaddleOCR's order of creation.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.base.errors import HostError, ModelError, UsageError
from edge.base.paths import sha256_file
from train.arch.architecture import Architecture, PublishedFile, class_count, find_architecture
from train.arch.border import Arrays
from train.weights.assign import assign

if TYPE_CHECKING:
    from paddle import nn

_SUFFIX = {"weight": "w_0", "bias": "b_0", "_mean": "w_1", "_variance": "w_2"}


@dataclass(frozen=True)
class Published:
    """A network with published weights and where they come from.

    Attributes:
        arch: Of the network.
        net: In evaluation mode.
        characters: Of a recogniser: the characters of classes 1, 2, ...
        source: For the model card.
    """

    arch: Architecture
    net: nn.Layer
    characters: list[str] | None
    source: dict[str, Any]


def published_file(arch: Architecture) -> PublishedFile:
    """Says where an architecture's published weights are.

    Raises:
        UsageError: It has none.
    """
    found = arch.published()
    if found is None:
        raise UsageError(f"{arch.name} has no published weights.", "Say model.init: random, or give a .pdparams file.")
    return found


def onnx_file(wanted: PublishedFile) -> Path:
    """Finds an ONNX file with published weights without importing the package that carries it.

    Raises:
        HostError: The package is not installed, or is another version (1.4 carries PP-OCRv4).
    """
    package, version = wanted.package, wanted.version
    hint = f"Run `pip install {package}=={version}` (or `make setup`)."
    try:
        found = metadata.version(package)
    except metadata.PackageNotFoundError as error:
        raise HostError(f"The published weights are in {package}, which is not installed.", hint) from error
    if found != version:
        raise HostError(f"{package} {found} does not carry PP-OCRv3's weights; {version} does.", hint)
    spec = find_spec(package.replace("-", "_"))
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "models" / wanted.file
        if path.is_file():
            return path
    raise HostError(f"{package} {version} is installed without {wanted.file}.", hint)


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


def published_names(arch: Architecture, net: nn.Layer) -> dict[str, str]:
    """Returns the kit's parameter name for each constant of the published file, which has nothing for training only."""
    wanted = published_file(arch)
    counters = Counter(wanted.first)
    names = {}
    for name, layer, kind in wanted.created(net):
        if not kind or name.startswith(arch.training_only):
            continue
        index = counters[kind]
        counters[kind] += 1
        for parameter in layer.state_dict():
            names[f"{kind}_{index}.{_SUFFIX[parameter]}"] = f"{name}.{parameter}"
    return names


def load_published(arch: Architecture) -> Published:
    """Builds an architecture's network with its published weights.

    Raises:
        UsageError: It has none.
        HostError: The package with the weights is missing or another version.
        ModelError: The file is not the published one.
    """
    wanted = published_file(arch)
    path = onnx_file(wanted)
    values, properties = read_onnx(path)
    characters = published_characters(properties, path) if arch.task == "rec" else None
    net = arch.build(class_count(characters))
    names = published_names(arch, net)
    # Constants of the graph itself (`Constant_12`) are shapes and activation parameters.
    weights = {names.get(name, name): value for name, value in values.items() if not name.startswith("Constant_")}
    assign(arch, net, weights, path.name)
    net.eval()
    source = {"package": wanted.package, "version": wanted.version, "file": path.name, "sha256": sha256_file(path)}
    return Published(arch, net, characters, source)


def usual_characters() -> list[str]:
    """Returns the published recogniser's characters; PaddleOCR's checkpoints without a dictionary have these."""
    path = onnx_file(published_file(find_architecture("", "rec")))
    return published_characters(read_onnx(path)[1], path)


def published_characters(properties: dict[str, str], path: Path) -> list[str]:
    """Returns the characters of classes 1, 2, ...: the file's dictionary and, as PaddleOCR adds it, the space.

    Raises:
        ModelError: The file's metadata has no dictionary.
    """
    text = properties.get("character")
    if not text:
        raise ModelError(f"{path.name} carries no dictionary in its metadata.", "Reinstall the package that carries it.")
    return [*text.rstrip("\n").split("\n"), " "]
