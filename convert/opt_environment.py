"""Which Python runs which version of `paddle_lite_opt`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edge.errors import HostError

DEFAULT_VERSION = "2.13rc0"


@dataclass(frozen=True)
class OptEnvironment:
    """A Python interpreter that can import one version of paddlelite.

    Attributes:
        version: Of the paddlelite package.
        python: The interpreter.
    """

    version: str
    python: Path

    def variables(self) -> dict[str, str]:
        """Returns the child's environment: ours without what would lead its Python elsewhere."""
        dropped = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV")
        return {key: value for key, value in os.environ.items() if key not in dropped}


def opt_environment(version: str = DEFAULT_VERSION) -> OptEnvironment:
    """Finds the interpreter for a version of opt.

    Raises:
        HostError: paddlelite is not installed here.
    """
    try:
        installed = metadata.version("paddlelite")
    except metadata.PackageNotFoundError as error:
        raise HostError(
            "paddlelite is not installed for this Python.",
            f"Its wheels end at CPython 3.10 (this is {sys.version_info.major}.{sys.version_info.minor}); run `make setup`.",
        ) from error
    if installed != version:
        raise HostError(f"paddlelite {installed} is installed, not {version}.")
    return OptEnvironment(version, Path(sys.executable))
