"""The networks that the kit trains: one module an architecture, as Paddle layers with PaddleOCR's parameter names.

The modules with layers import paddle. This file, `border` and `architecture` do not; this one prepares for it, so every
function of the kit that needs paddle takes it from `load_paddle`:

- zlib comes first, since `libpaddle.so` 2.6.2 exports a zlib of its own, and Python's zlib module breaks when it is
  loaded after it;
- paddle's log lines of level INFO and WARNING stay off stderr unless `GLOG_minloglevel` says otherwise.
"""

from __future__ import annotations

import os
import warnings
import zlib as _zlib  # noqa: F401
from importlib import import_module
from typing import Any

from edge.base.errors import HostError
from edge.host.processor import check_processor

os.environ.setdefault("GLOG_minloglevel", "2")


def load_paddle(module: str = "paddle") -> Any:
    """Imports paddle, or a module of it or on it such as `paddleslim.quant`, after zlib and quietly.

    Raises:
        HostError: It is not installed, or this processor cannot run it.
    """
    check_processor("Paddle")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of setuptools, about its own distutils
            return import_module(module)
    except ModuleNotFoundError as error:
        hint = "Install the extra: `pip install plate-edge-kit[train]` (CPython 3.10)."
        raise HostError(f"This needs {error.name}, which is not installed.", hint) from error
