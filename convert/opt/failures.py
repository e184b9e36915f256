"""What `paddle_lite_opt` prints when it fails, and what a user can do about it."""

from __future__ import annotations

import re

from edge.base.errors import EdgeError, ModelError
from edge.host.ending import ended_by, ended_here, signal_number

# Pattern in the output, message, hint; the first that matches is taken. Groups of the pattern fill {0}, {1}; {version}
# and {target} are the opt's.
_KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r"No attributes called (\S+) found for (\S+)",
        "opt {version} aborts: operator {1} lacks the attribute {0}, which opt requires.",
        "The model was exported by a newer Paddle than this opt knows. `edge convert nb` adds the attribute where its "
        "value is known (swish: beta); for others use a newer --opt-version, or export with paddlepaddle 2.6.",
    ),
    (
        r"No attributes called (\S+) found",
        "opt {version} aborts: an operator lacks the attribute {0}, which opt requires.",
        "The model was exported by a newer Paddle than this opt knows: use a newer --opt-version.",
    ),
    (
        r"(?:[Oo]p|[Oo]perator) (?:type )?[`'\"]?(quantize_linear|dequantize_linear|moving_average_abs_max_scale)\b",
        "opt {version} does not know the quantisation operator {0}.",
        "Use --opt-version 2.13rc0, and save the quantised model with PaddleSlim's "
        "save_quantized_model(onnx_format=False).",
    ),
    (
        r"no Op found for (\w+)|(\w+) is not supported!|Unsupported op(?:erator)?:? (\w+)",
        "opt {version} has no operator {0}.",
        "`edge convert check` lists every operator that is missing and what to do.",
    ),
    (
        r"Error: This model is not supported, because \d+ ops are not supported on "
        r".*?These unsupported ops are: '([^']*)'",
        "opt {version} has no {target} kernel for: {0}.",
        "`edge convert check` says what to do about each; some may be for training only, which an export leaves out.",
    ),
    (
        r"(?:[Nn]o|not find|any) (?:valid )?kernel(?:s)? (?:picked )?(?:found )?for (?:op )?'?(\w+)",
        "opt {version} has no {target} kernel for {0}.",
        "`edge convert check` says what to do about each such operator.",
    ),
    (
        r"(?:params? |param )file .*(?:open|exist|find)|[Cc]an(?:not|'t) open file|Unable to open file",
        "opt {version} could not open the model's files.",
        "Check that `inference.pdmodel` and `inference.pdiparams` both exist.",
    ),
    (
        r"[Pp]arse|protobuf|Failed to load",
        "opt {version} could not read the model.",
        "Check that it is complete, and that program and parameters belong together.",
    ),
)


class OptEnded(ModelError):
    """opt ended in a way that names no operator."""


def explain(log: str, code: int, version: str, target: str) -> EdgeError:
    """Turns the output of a failed run into an error.

    Args:
        log: Everything that opt printed.
        code: Exit code; negative for a signal.
        version: Of opt.
        target: What was converted for.

    Returns:
        The error to raise.
    """
    for pattern, message, hint in _KNOWN:
        found = re.search(pattern, log, re.S)
        if found:
            groups = [group for group in found.groups() if group]
            return ModelError(message.format(*groups, version=version, target=target), hint)
    reason = last_reason(log)
    hint = "Run `edge convert check` on the model; another --opt-version may take it."
    number = signal_number(code)
    if number and not reason:
        return ended_here(f"opt {version}", number, library="Paddle Lite", hint=hint, kind=OptEnded)
    ended = ended_by(number) if number else f"ended with code {code}"
    said = f"opt {version} {ended} without a model"
    return OptEnded(said + (f": {reason}" if reason else "."), hint)


def last_reason(log: str) -> str:
    """Returns opt's own reason: its last fatal or error line, without C++ source locations; empty without one."""
    for line in reversed(log.splitlines()):
        if re.match(r"\s*\[[FE]\b|.*(?:Error|error|Check failed)", line):
            return re.sub(r"^\s*\[[FEWI] [^\]]*\]\s*", "", line).strip()[:300]
    return ""
