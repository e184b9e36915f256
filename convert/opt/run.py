"""Running `paddle_lite_opt` in a child process, and saying in plain words what it could not do.

The optimiser is a C++ library that aborts the process on what it does not know, prints C++ source locations, and takes
output names without checking them. So it runs in a child of its own, in a temporary folder with relative names (no path
of this machine can get into a model), with its output captured.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from convert.opt.environment import DEFAULT_VERSION, clean_variables, opt_environment
from convert.opt.failures import explain
from edge.base.errors import ModelError
from edge.model.nb_header import tidy_nb_header

# What the child does: the calls of `paddlelite.lite.Opt`, as JSON [[method, argument...], ...], in their order.
_DRIVER = (
    "import json, sys\n"
    "from paddlelite.lite import Opt\n"
    "opt = Opt()\n"
    "for name, *arguments in json.loads(sys.argv[1]):\n"
    "    getattr(opt, name)(*arguments)\n"
)
_TIMEOUT = 120.0
Calls = list[list[object]]
_VALID_TARGETS = {"arm": "arm", "x86": "x86", "opencl": "opencl,arm"}


def run_opt(
    program: Path,
    parameters: Path,
    out: Path,
    target: str,
    *,
    fp16: bool = False,
    int8_weights: bool = False,
    version: str = DEFAULT_VERSION,
) -> str:
    """Converts one inference model to `.nb`.

    Args:
        program: `.pdmodel` file.
        parameters: `.pdiparams` file.
        out: The `.nb` file to write.
        target: `arm`, `x86` or `opencl`.
        fp16: Compute in half precision (Arm v8.2 with `asimdhp` only).
        int8_weights: Store the weights of float operators as int8; the runtime turns them to float when it loads.
        version: Which opt; one other than the installed gets an environment of its own.

    Returns:
        The calls that were made, as JSON; no path of this machine is in them.

    Raises:
        ModelError: The optimiser cannot convert this model; says why and what to do.
        HostError: There is no such opt on this machine.
    """
    python = opt_environment(version)
    with _copied(program, parameters) as (folder, calls):
        calls += [["set_model_type", "naive_buffer"], ["set_optimize_out", "model"]]
        if fp16:
            calls.append(["enable_fp16"])
        calls.append(["set_valid_places", _VALID_TARGETS[target]])
        if int8_weights:
            calls += [["set_quant_model", True], ["set_quant_type", "QUANT_INT8"]]
        calls.append(["run"])
        code, log = run_calls(python, calls, folder)
        nb = folder / "model.nb"
        if code != 0 or not nb.is_file() or nb.stat().st_size == 0:
            raise explain(log, code, version, target)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(tidy_nb_header(nb.read_bytes()))
    return json.dumps(calls)


@contextmanager
def _copied(program: Path, parameters: Path) -> Iterator[tuple[Path, Calls]]:
    """Lends a folder with copies of a model under neutral names, and the calls that open them."""
    with tempfile.TemporaryDirectory(prefix="plate-opt-") as name:
        folder = Path(name)
        shutil.copyfile(program, folder / "inference.pdmodel")
        shutil.copyfile(parameters, folder / "inference.pdiparams")
        yield folder, [["set_model_file", "inference.pdmodel"], ["set_param_file", "inference.pdiparams"]]


def run_calls(python: Path, calls: Calls, folder: Path) -> tuple[int, str]:
    """Runs calls of `Opt` in a child process.

    Args:
        python: The interpreter that has the opt.
        calls: Method and arguments each.
        folder: Working directory of the child.

    Returns:
        Exit code (negative: killed by that signal) and everything it printed.

    Raises:
        ModelError: It did not end in two minutes.
    """
    command = [str(python), "-c", _DRIVER, json.dumps(calls)]
    try:
        done = subprocess.run(
            command, cwd=folder, env=clean_variables(), capture_output=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        message = f"paddle_lite_opt did not end in {_TIMEOUT:.0f} s."
        raise ModelError(message, "Another --opt-version may take the model.") from error
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def model_operators(program: Path, parameters: Path, target: str, version: str = DEFAULT_VERSION) -> dict[str, bool]:
    """Asks the optimiser which of a model's operators it has kernels for on a target.

    `print_model_ops` ends with exit code 1 on success too, so its text is read instead.

    Returns:
        Operator type to whether it is supported.

    Raises:
        ModelError: It printed something else.
    """
    with _copied(program, parameters) as (folder, calls):
        calls += [["set_valid_places", _VALID_TARGETS[target]], ["check_if_model_supported", True]]
        code, log = run_calls(opt_environment(version), calls, folder)
    operators = parse_operators(log)
    if not operators:
        raise explain(log, code, version, target)
    return operators


def parse_operators(log: str) -> dict[str, bool]:
    """Reads what `print_model_ops` prints; empty when that is something else.

    An operator without a kernel of its own may still be fine (opt fuses quantisation away), so the sentence at the end
    decides, not the table.
    """
    rows = re.findall(r"^ +([a-z][a-z0-9_]*)(?: +Y)* *$", log, re.M)
    if "supports this model" in log:
        return dict.fromkeys(rows, True)
    found = re.search(r"These unsupported ops are: '([^']*)'", log)
    missing = [name.strip() for name in found[1].split(",")] if found else []
    return {**dict.fromkeys(rows, True), **dict.fromkeys(missing, False)} if missing else {}
