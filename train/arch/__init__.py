"""PP-OCRv3's detector and recogniser as Paddle layers, with PaddleOCR's parameter names.

Importing a module of this package imports paddle. This file does not; it prepares for it, so every function of the kit
that imports paddle imports `train.arch` first:

- zlib comes first, since `libpaddle.so` 2.6.2 exports a zlib of its own, and Python's zlib module breaks when it is
  loaded after it;
- paddle's log lines of level INFO and WARNING stay off stderr unless `GLOG_minloglevel` says otherwise.
"""

from __future__ import annotations

import os
import zlib as _zlib  # noqa: F401

os.environ.setdefault("GLOG_minloglevel", "2")
