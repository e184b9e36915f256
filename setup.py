"""Build steps that setup.cfg cannot say: `cpp/` and the licences travel in the wheel, and an sdist is reproducible.

All metadata is in setup.cfg.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
# Where `edge.base.paths.kit_source` looks in an installed kit.
KIT = Path("edge") / "_kit"


class BuildPy(build_py):
    """Copies `cpp/`, `LICENSE` and `NOTICE` into the package."""

    def run(self) -> None:
        """Builds the packages, then adds the copies; an editable install uses the checkout itself."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / KIT
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        shutil.copytree(ROOT / "cpp", target / "cpp", ignore=shutil.ignore_patterns("build"))
        # CMakeLists.txt reads the version from ../edge/__init__.py.
        for name in ("LICENSE", "NOTICE", "edge/__init__.py"):
            (target / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)


class Sdist(sdist):
    """Writes the archive in a fixed order, with one time (`SOURCE_DATE_EPOCH`) and no owners."""

    def make_archive(self, base_name: str, format: str, *args: object, **kwargs: object) -> str:
        """Overrides the archive writer; other formats than `.tar.gz` are left alone."""
        if format != "gztar":
            return str(super().make_archive(base_name, format, *args, **kwargs))
        epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "315532800"))
        folder = Path(str(kwargs.get("base_dir") or args[1]))
        archive = Path(f"{base_name}.tar.gz")
        archive.parent.mkdir(parents=True, exist_ok=True)
        with (
            archive.open("wb") as raw,
            gzip.GzipFile("", "wb", 9, raw, mtime=epoch) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path in sorted(folder.rglob("*")):
                info = tar.gettarinfo(path, arcname=path.as_posix())
                info.mtime, info.uid, info.gid, info.uname, info.gname = epoch, 0, 0, "", ""
                info.mode = 0o755 if path.is_dir() or info.mode & 0o100 else 0o644
                if path.is_file():
                    with path.open("rb") as stream:
                        tar.addfile(info, stream)
                else:
                    tar.addfile(info)
        return str(archive)


# The modes of the files in a wheel must not depend on who builds it.
os.umask(0o022)
setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})
