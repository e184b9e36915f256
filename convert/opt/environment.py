"""Which Python runs which version of `paddle_lite_opt`.

A `.nb` belongs to the runtime of its opt's version: the library only warns of another one, and boxes vanish. Each
version of the package paddlelite has wheels for few Pythons (2.13rc0: 3.8 and 3.10; 2.12: 3.7; 2.10: 3.9), so a version
other than the installed one gets an environment of its own, made once in the cache.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from edge.base.errors import HostError, UsageError
from edge.base.paths import cache_dir
from edge.base.progress import Say

DEFAULT_VERSION = "2.13rc0"
# Version of the package to the Pythons that have a wheel on x86-64 Linux.
VERSIONS: dict[str, tuple[str, ...]] = {"2.10": ("3.9",), "2.12": ("3.7",), "2.13rc0": ("3.10", "3.8")}
_MARK = "plate-edge.json"


def clean_variables() -> dict[str, str]:
    """Returns the environment of a child with another Python: ours without what would lead it elsewhere."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV")
    return {key: value for key, value in os.environ.items() if key not in dropped}


def opt_environment(version: str = DEFAULT_VERSION, report: Say = lambda text: None) -> Path:
    """Finds or makes the Python interpreter that can import a version of paddlelite, and with it that opt.

    Args:
        version: One of `VERSIONS`.
        report: Called with one line before an environment is made, which takes half a minute.

    Raises:
        UsageError: Unknown version.
        HostError: No Python for it on this machine, or the package cannot be installed.
    """
    if version not in VERSIONS:
        raise UsageError(f"There is no opt {version}.", f"Versions: {', '.join(VERSIONS)}.")
    try:
        if metadata.version("paddlelite") == version:
            return Path(sys.executable)
    except metadata.PackageNotFoundError:
        pass
    folder = cache_dir("opt") / f"paddlelite-{version}"
    # An interpreter that was removed or upgraded since leaves a link that leads nowhere.
    if not ((folder / _MARK).is_file() and (folder / "bin" / "python").exists()):
        report(f"making an environment for paddlelite {version}")
        _make(folder, version)
    return folder / "bin" / "python"


def version_for_runtime(text: str) -> str:
    """Returns the opt for a runtime's version string or build name, such as `v2.13-rc` or `v2.10`.

    Raises:
        UsageError: It names no version that has an opt.
    """
    found = re.search(r"(\d+)\.(\d+)", text)
    for version in VERSIONS:
        if found and version.startswith(f"{found[1]}.{found[2]}"):
            return version
    raise UsageError(f"No opt is known for the runtime {text!r}.", f"Give --opt-version: {', '.join(VERSIONS)}.")


def find_python(wanted: str) -> Path | None:
    """Finds CPython `wanted` (such as `3.9`) on PATH, in pyenv, or with uv; None when there is none."""
    on_path = shutil.which(f"python{wanted}")
    candidates = [Path(on_path)] if on_path else []
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += sorted(pyenv.glob(f"{wanted}.*/bin/python"), reverse=True)
    uv = shutil.which("uv")
    if uv:
        found = subprocess.run([uv, "python", "find", wanted], capture_output=True, text=True, check=False)
        candidates += [Path(found.stdout.strip())] if found.returncode == 0 else []
    for path in candidates:
        # A pyenv shim on PATH exists for Pythons that are not the chosen one, and fails.
        asked = subprocess.run(
            [str(path), "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.stdout.strip() == wanted:
            return path
    return None


def _make(folder: Path, version: str) -> None:
    python = next(filter(None, map(find_python, VERSIONS[version])), None)
    uv = shutil.which("uv")
    wanted = VERSIONS[version][0]
    if python is None and uv is None:
        raise HostError(
            f"opt {version} needs CPython {' or '.join(VERSIONS[version])}, which is not on this machine.",
            f"Install it: `pyenv install {wanted}`, or install uv, which fetches it.",
        )
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        if python is not None:
            _run([str(python), "-m", "venv", str(temporary)], version)
            pip = [str(temporary / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        else:
            assert uv is not None
            _run([uv, "venv", "-q", "--allow-existing", "--python", wanted, str(temporary)], version)
            pip = [uv, "pip", "install", "-q", "--python", str(temporary / "bin" / "python")]
        _run([*pip, f"paddlelite=={version}"], version)
        _run([str(temporary / "bin" / "python"), "-c", "from paddlelite.lite import Opt; Opt()"], version)
        (temporary / _MARK).write_text(json.dumps({"paddlelite": version}))
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _run(command: list[str], version: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=clean_variables(), check=False)
    if done.returncode != 0:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise HostError(
            f"The environment for opt {version} could not be made: {lines[-1][:300] if lines else 'no output'}",
            "Is the network reachable? The step was: " + " ".join(Path(part).name for part in command[:4]) + " ...",
        )
