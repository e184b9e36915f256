"""What would stop a conversion, or make the result slow: found before anything is converted, each with the fix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from convert.graph.edit import Graph, all_arguments, arguments, attribute
from convert.graph.fake_quant import is_quantised
from convert.graph.task import NAMES, check_card, check_finite, check_input, signature
from convert.opt.environment import DEFAULT_VERSION
from convert.opt.run import model_operators
from convert.opt.source import find_files
from convert.rewrite.apply import rewrite
from convert.rewrite.fuse import fuse_pieces
from convert.rewrite.scalars import bare_constants
from edge.base.errors import ModelError
from edge.base.finding import Finding, gravest_first
from edge.model.card import CARD_NAME, load_model

# An error stops the conversion, a warning costs speed or care, a note is for information.
LEVELS = ("note", "warning", "error")
# Operators whose missing attribute makes opt abort, and whether the kit knows the value.
NEEDED: tuple[tuple[str, str, str], ...] = (("swish", "beta", "1.0"), ("dropout", "fix_seed", "False"))
_ADVICE = {
    "quantize_linear": "Use --opt-version 2.12 or newer, or save with PaddleSlim's onnx_format=False.",
    "dequantize_linear": "Use --opt-version 2.12 or newer, or save with PaddleSlim's onnx_format=False.",
    "fake_channel_wise_dequantize_max_abs": "Use --opt-version 2.12 or newer.",
}


def check_convertible(path: Path, target: str, version: str = DEFAULT_VERSION) -> list[Finding]:
    """Checks an inference model for a target.

    Args:
        path: Folder or `.pdmodel` file.
        target: `arm`, `x86` or `opencl`.
        version: Of opt.

    Returns:
        Findings, gravest first; empty when there is nothing to say.

    Raises:
        InputError: There is no inference model.
        ModelError: It cannot be read, or is Paddle 3's.
        HostError: That opt cannot be installed.
    """
    program, parameters = find_files(path)
    graph = Graph.load(program, parameters)
    findings = [*_network(graph, path), *_scalars(graph)]
    findings += [*_attributes(graph), *_training_leftovers(graph), *_shapes(graph), *_quantisation(graph, target)]
    findings += _pieces(Graph.load(program, parameters))
    findings += _kernels(graph, target, version)
    return gravest_first(findings, LEVELS)


def _network(graph: Graph, path: Path) -> list[Finding]:
    """What the program cannot feed or read."""
    found = signature(graph)
    folder = path if path.is_dir() else path.parent
    findings = []
    what = "the network"
    checks: list[Callable[[], None]] = [lambda: check_input(found, what), lambda: check_finite(graph, what)]
    if (folder / CARD_NAME).is_file():
        card = load_model(folder, verify=False).card
        checks.append(lambda: check_card(found, card, what))
    for check in checks:
        try:
            check()
        except ModelError as error:
            findings.append(Finding("error", "not-fit", error.message.rstrip("."), error.hint))
    if found.task is None:
        message = f"its task cannot be told: {found.described()}"
        fix = "A detector gives one map, [N, 1, H, W], a recogniser a softmax over classes, [N, T, C]; --task says which."
        findings.append(Finding("warning", "unknown-task", message, fix))
    else:
        message = f"it is {NAMES[found.task]}: {found.described()}"
        findings.append(Finding("note", "task", message, "`edge convert nb` converts it as that."))
    return list({finding.message: finding for finding in findings}.values())


def _scalars(graph: Graph) -> list[Finding]:
    """Constants without dimensions, on which Paddle Lite aborts when the model runs."""
    mendable, stuck = bare_constants(graph)
    findings = []
    if mendable:
        message = f"{len(mendable)} fill_constant without dimensions (shape []), on which Paddle Lite aborts when it runs"
        findings.append(Finding("warning", "scalar-constant", message, "`edge convert nb` gives it the shape [1]."))
    for item in stuck:
        message = f"{item}: Paddle Lite aborts on it when it runs"
        fix = f"Export it as paddle.full([1], value); {item.reader} gives another shape then, so it is not changed here."
        findings.append(Finding("error", "scalar-constant", message, fix))
    return findings


def _attributes(graph: Graph) -> list[Finding]:
    findings = []
    flattens = graph.of_type("flatten2", "flatten_contiguous_range")
    bare = [operator for operator in flattens if not arguments(operator.outputs, "XShape")]
    if bare:
        message = f"{len(bare)} {bare[0].type} without the output XShape, on which opt ends by a signal"
        findings.append(Finding("warning", "missing-output", message, "`edge convert nb` adds it."))
    for kind, name, value in NEEDED:
        bare = [operator for operator in graph.of_type(kind) if attribute(operator, name) is None]
        if bare:
            message = f"{len(bare)} {kind} without the attribute {name}, on which opt aborts"
            fix = f"`edge convert nb` sets it to {value}; for opt alone, export with an older Paddle."
            if kind == "dropout":
                fix = "`edge convert nb` removes dropout, which does nothing outside training."
            findings.append(Finding("warning", "missing-attribute", message, fix))
    return findings


def _training_leftovers(graph: Graph) -> list[Finding]:
    found = graph.of_type("moving_average_abs_max_scale")
    if not found:
        return []
    message = f"{len(found)} moving_average_abs_max_scale, left by quantisation-aware training; no opt has it"
    return [Finding("warning", "qat-leftover", message, "`edge convert nb` removes them.")]


def _shapes(graph: Graph) -> list[Finding]:
    findings = []
    for operator in graph.of_type("feed"):
        for name in all_arguments(operator.outputs):
            shape = graph.shape(name) or []
            if -1 in shape[1:]:
                message = f"input {name} has the dynamic shape {shape}"
                fix = "Paddle Lite takes the shape of each input; verify every size that you use (A-B-A)."
                findings.append(Finding("note", "dynamic-shape", message, fix))
    shapes = graph.of_type("shape")
    if shapes:
        message = f"{len(shapes)} shape operators compute sizes while the model runs"
        fix = "Export with fixed sizes, or with -1 in reshapes, if opt is to choose kernels for them."
        findings.append(Finding("note", "computed-shape", message, fix))
    return findings


def _quantisation(graph: Graph, target: str) -> list[Finding]:
    if not is_quantised(graph):
        return []
    if target == "x86":
        message = "int8 model for x86, whose int8 kernels lack hard-swish and keep the first input's sizes"
        fix = "`edge convert nb` keeps int8 weights there and computes in float."
        return [Finding("warning", "x86-int8", message, fix)]
    plain = [
        operator
        for operator in graph.of_type("conv2d", "depthwise_conv2d", "conv2d_transpose")
        if not any(name.endswith((".quantized", ".dequantized")) for name in all_arguments(operator.inputs))
    ]
    if not plain:
        return []
    counts = Counter(operator.type for operator in plain)
    text = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return [Finding("note", "float-layers", f"{text} stay float in this int8 model", "The model card says why.")]


def _pieces(graph: Graph) -> list[Finding]:
    counts = fuse_pieces(graph)
    if not counts:
        return []
    text = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    message = f"in pieces: {text}; each piece is a pass over the whole map, which can double the cost on ARM"
    return [Finding("warning", "decomposed", message, "`edge convert nb` fuses them unless --no-rewrite is given.")]


def _kernels(graph: Graph, target: str, version: str) -> list[Finding]:
    """Asks opt about what is left after the rewrites of `edge convert nb`."""
    rewrite(graph, target, version)
    with graph.saved() as files:
        supported = model_operators(*files, target, version)
    missing = [kind for kind, good in supported.items() if not good]
    findings = []
    for kind in missing:
        fix = _ADVICE.get(kind, "Replace the operator in the network before the export, or use another --opt-version.")
        findings.append(Finding("error", "no-kernel", f"opt {version} has no {target} kernel for {kind}", fix))
    return findings
