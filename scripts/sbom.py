"""Prints a bill of materials (CycloneDX 1.5, JSON) of an installed kit: its packages, and what is no package.

    python scripts/sbom.py [EXTRA ...] > sbom.json

The same environment gives the same bytes: there is no time and no random serial number in it.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata

from packaging.requirements import Requirement

KIT = "plate-edge-kit"
# Compiled into programs and bundles, but not installed by pip; see NOTICE.
OTHERS = (
    ("Paddle Lite runtime library", "2.13-rc", "Apache-2.0", "pkg:github/PaddlePaddle/Paddle-Lite@v2.13-rc"),
    ("stb_image", "", "MIT OR Unlicense", "pkg:deb/debian/libstb"),
)


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
        component = _component(name, distribution.version, _licence(distribution))
        components.append({**component, "purl": f"pkg:pypi/{name}@{distribution.version}"})
    components += [{**_component(name, version, licence), "purl": purl} for name, version, licence, purl in OTHERS]
    version = metadata.version(KIT)
    subject = {"type": "application", "name": KIT, "version": version, "purl": f"pkg:pypi/{KIT}@{version}"}
    head = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1}
    return {**head, "metadata": {"component": subject}, "components": components}


def _component(name: str, version: str, licence: str) -> dict[str, object]:
    made: dict[str, object] = {"type": "library", "name": name, "version": version}
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
