"""Prints a bill of materials (CycloneDX 1.5, JSON) of an installed kit: its packages, and what is not a package.

    python scripts/sbom.py [EXTRA ...] > sbom.json

The same environment gives the same bytes: no time and no random serial number is in it. What is not one of pip's
packages has the SHA-256 of the installed file: libraries inside Paddle Lite's wheel, weights, models,
libjpeg-turbo, stb_image.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from importlib import metadata, util
from pathlib import Path

from packaging.requirements import Requirement

KIT = "plate-edge-kit"
LITE, LITE_VERSION = "pkg:github/PaddlePaddle/Paddle-Lite@v2.13-rc", "2.13-rc"
# Packages that do not state it themselves.
LICENCES = {"paddlelite": "Apache-2.0"}
# Files inside installed packages that get into programs and bundles: package, pattern, name, version, licence, purl.
INSIDE = (
    ("paddlelite", "lite.so", "Paddle Lite runtime library (x86-64)", LITE_VERSION, "Apache-2.0", LITE),
    ("paddlelite", "libs/libmklml_intel.so", "Intel MKL small libraries", "", "Intel Simplified Software License", ""),
    ("paddlelite", "libs/libiomp5.so", "Intel OpenMP runtime", "", "Intel Simplified Software License", ""),
    ("rapidocr_onnxruntime", "models/*PP-OCRv3*.onnx", "PP-OCRv3 weights", "", "Apache-2.0", ""),
)
STB = Path("/usr/include/stb/stb_image.h")


def closure(name: str, extras: tuple[str, ...]) -> dict[str, metadata.Distribution]:
    """Returns the installed packages that one needs, by normalised name, without itself and what is missing."""
    found: dict[str, metadata.Distribution] = {}
    todo = [(name, extras)]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while todo:
        current, wanted = todo.pop()
        if (current, wanted) in seen:
            continue
        seen.add((current, wanted))
        try:
            distribution = metadata.distribution(current)
        except metadata.PackageNotFoundError:
            continue
        if current != name:
            found[current] = distribution
        for line in distribution.requires or ():
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                todo.append((_plain(requirement.name), tuple(sorted(requirement.extras))))
    return found


def bill(extras: tuple[str, ...]) -> dict[str, object]:
    """Returns the document; components are sorted by name."""
    components: list[dict[str, object]] = []
    for name, distribution in sorted(closure(KIT, extras).items()):
        component = _component(name, distribution.version, _licence(distribution) or LICENCES.get(name, ""))
        components.append({**component, "purl": f"pkg:pypi/{name}@{distribution.version}"})
    components += [*_inside(), *_models(), *_libjpeg(), *_stb()]
    version = metadata.version(KIT)
    subject = {"type": "application", "name": KIT, "version": version, "purl": f"pkg:pypi/{KIT}@{version}"}
    head = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1}
    return {**head, "metadata": {"component": subject}, "components": components}


def _inside() -> list[dict[str, object]]:
    """Files of other makers inside installed packages; Paddle Lite's library for boards is the user's to fetch."""
    found = []
    for package, pattern, name, version, licence, purl in INSIDE:
        spec = util.find_spec(package)
        folder = Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent")
        for path in sorted(folder.glob(pattern)):
            shown = f"{name}: {path.name}" if "*" in pattern else name
            found.append({**_component(shown, version, licence, path), **({"purl": purl} if purl else {})})
    return found


def _models() -> list[dict[str, object]]:
    """The models that are shipped: every file of their cards."""
    from edge.bundle.zoo import SHIPPED
    from edge.model.card import CARD_NAME

    found = []
    for card in sorted(SHIPPED.glob(f"*/*/{CARD_NAME}")):
        document = json.loads(card.read_text(encoding="utf-8"))
        for item in document["files"]:
            path = card.parent / item["path"]
            name = f"{document['name']}: {item['path']}"
            found.append({**_component(name, metadata.version(KIT), "Apache-2.0", path), "type": "machine-learning-model"})
    return found


def _stb() -> list[dict[str, object]]:
    """The header that decodes photos, from the system; nothing where it is not installed."""
    if not STB.is_file():
        return []
    match = re.search(r"stb_image - v([\d.]+)", STB.read_text(encoding="utf-8", errors="replace")[:500])
    made = _component("stb_image", match[1] if match else "", "MIT OR Unlicense", STB)
    return [{**made, "purl": "pkg:deb/debian/libstb"}]


def _libjpeg() -> list[dict[str, object]]:
    """The library that programs for this host decode JPEGs with; nothing where there is none."""
    from edge.bundle.jpeg_library import jpeg_library
    from edge.bundle.toolchain import host_abi

    found = jpeg_library(host_abi(), host_abi())
    if found.archive is None:
        return []
    named = re.search(rb"libjpeg-turbo version ([\d.]+)", found.archive.read_bytes())
    made = _component("libjpeg-turbo", named[1].decode() if named else "", "IJG AND BSD-3-Clause", found.archive)
    return [{**made, "purl": "pkg:deb/debian/libjpeg-turbo"}]


def _component(name: str, version: str, licence: str, file: Path | None = None) -> dict[str, object]:
    made: dict[str, object] = {"type": "library", "name": name, "version": version}
    if file is not None:
        made["hashes"] = [{"alg": "SHA-256", "content": hashlib.sha256(file.read_bytes()).hexdigest()}]
    return {**made, "licenses": [{"license": {"name": licence}}]} if licence else made


def _licence(distribution: metadata.Distribution) -> str:
    facts = distribution.metadata
    stated = facts.get("License-Expression") or facts.get("License") or ""
    lines = [line for line in facts.get_all("Classifier") or () if line.startswith("License")]
    classified = [line.rpartition(" :: ")[2] for line in lines]
    # Some packages put the whole text of their licence into the field.
    return stated.strip() if stated and "\n" not in stated.strip() and len(stated) < 80 else ", ".join(classified)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    print(json.dumps(bill(tuple(sys.argv[1:])), ensure_ascii=False, indent=1))
