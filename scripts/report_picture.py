"""Makes the picture of a report for the README: the top of the page in Chromium, as a small PNG.

Usage: python scripts/report_picture.py out/local/report.html docs/img/report.png
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WIDTH, HEIGHT = 1180, 1500
MOST_BYTES = 250_000


def main() -> int:
    """Takes the picture; returns an exit code."""
    if len(sys.argv) != 3 or not Path(sys.argv[1]).is_file():
        print(f"usage: {Path(sys.argv[0]).name} report.html picture.png", file=sys.stderr)
        return 2
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if browser is None:
        print("error: no Chromium\nhint:  apt-get install chromium", file=sys.stderr)
        return 5
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/home",
            f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={shot}", Path(sys.argv[1]).resolve().as_uri(),
        ]  # fmt: skip
        subprocess.run(command, capture_output=True, check=True, timeout=120)
        picture = Image.open(shot).convert("RGB")
    out = Path(sys.argv[2])
    for colours in (128, 64, 32):
        picture.quantize(colours, dither=Image.Dither.NONE).save(out, optimize=True)
        if out.stat().st_size <= MOST_BYTES:
            break
    print(f"{out}: {out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
