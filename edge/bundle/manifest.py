"""The manifest of a bundle: what a release consists of, and its name, the hash over all that.

The hash is taken over the canonical JSON of everything else in the manifest, which holds every file's SHA-256: two
bundles have the same name exactly when a board would get the same bytes from both.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from edge.base.errors import InputError, VerifyError

SCHEMA = "plate-edge/bundle/2"
SCHEMAS = (SCHEMA, "plate-edge/bundle/1")
"""What is read: releases of 0.1 (1) lie on boards, and have no grammar in their variants."""
MANIFEST_NAME = "manifest.json"
HASH_DIGITS = 20


@dataclass(frozen=True)
class BundleFile:
    """One file of a release.

    Attributes:
        path: Relative to the release's folder, POSIX.
        sha256: Of its content.
        size: Bytes.
        mode: Permission bits, 0o755 or 0o644.
        kind: `program`, `library`, `model`, `dictionary`, `grammar`, `config`, `sample` or `licence`.
    """

    path: str
    sha256: str
    size: int
    mode: int
    kind: str


@dataclass(frozen=True)
class Manifest:
    """All facts about a release.

    Attributes:
        abi: As `edge.runtime.elf` names it: `x86_64`, `arm64`, `armhf`, `android-arm64`, `android-armv7`.
        kit: Version of the kit that made it.
        files: Sorted by path; the manifest itself is not among them.
        program: ELF facts of the program.
        libraries: ELF facts per library path.
        requires: What the board must bring: `libraries` (names) and `versions` (symbol version per family).
        runtime: Build, version, source and SHA-256 of Paddle Lite's library; `replay` for the tests' stand-in.
        variants: Per variant the paths of `det`, `rec`, `dict`, `grammar`, `config`, both models' cards and `.nb` facts.
        licences: Component, licence and file.
        schema: One of `SCHEMAS`; part of the hash.
    """

    abi: str
    kit: str
    files: tuple[BundleFile, ...]
    program: dict[str, Any]
    libraries: dict[str, Any]
    requires: dict[str, Any]
    runtime: dict[str, Any]
    variants: dict[str, dict[str, Any]]
    licences: list[dict[str, str]] = field(default_factory=list)
    schema: str = SCHEMA

    @property
    def hash(self) -> str:
        """The release's name: the first 20 digits of the SHA-256 over the canonical manifest."""
        return hashlib.sha256(_canonical(self._body())).hexdigest()[:HASH_DIGITS]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(item.size for item in self.files)

    def _body(self) -> dict[str, Any]:
        return asdict(self)

    def dump(self) -> str:
        """Returns the text of `manifest.json`: the body and its hash, keys sorted."""
        document = {**self._body(), "hash": self.hash}
        return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def parse_manifest(text: str, where: str = MANIFEST_NAME) -> Manifest:
    """Reads the text of a `manifest.json`.

    Raises:
        InputError: Not JSON, another schema, unknown or missing keys, or a path that leaves the release.
        VerifyError: Its hash is not that of its content.
    """
    try:
        document = json.loads(text)
        schema = document["schema"]
        if schema not in SCHEMAS:
            raise InputError(
                f"{where}: schema {schema!r} is not {SCHEMA!r}.", "Was it written by another version of the kit?"
            )
        stated = document.pop("hash")
        document["files"] = tuple(BundleFile(**item) for item in document["files"])
        manifest = Manifest(**document)
        for item in manifest.files:
            _check_file(item, where)
        for name, kind in _KINDS.items():
            if not isinstance(getattr(manifest, name), kind):
                raise TypeError(f"{name} has the wrong form")
        if not all(isinstance(variant, dict) for variant in manifest.variants.values()):
            raise TypeError("variants has the wrong form")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{where} is not a manifest: {error}.") from error
    if stated != manifest.hash:
        raise VerifyError(f"{where}: its hash {stated} is not its content's ({manifest.hash}).", "Was it edited?")
    return manifest


_KINDS = {
    **dict.fromkeys(("abi", "kit"), str),
    **dict.fromkeys(("program", "libraries", "requires", "runtime", "variants"), dict),
    "licences": list,
}


def _check_file(item: BundleFile, where: str) -> None:
    if not all(isinstance(value, str) for value in (item.path, item.sha256, item.kind)):
        raise TypeError("a file's path, sum or kind is not a text")
    check_path(item.path, where)
    # What the board is told by these: a set-user-ID bit has no place there.
    if item.mode not in (0o755, 0o644) or type(item.size) is not int or item.size < 0:
        raise ValueError(f"{item.path} has mode {item.mode!r} and size {item.size!r}")
    if not re.fullmatch(r"[0-9a-f]{64}", item.sha256):
        raise ValueError(f"{item.path} has the sum {item.sha256!r}")


def check_path(path: str, where: str) -> None:
    """Refuses a path that is not plain, relative and inside.

    Raises:
        InputError: Names the path.
    """
    pure = PurePosixPath(path)
    odd = any(ord(mark) < 32 or mark == "\\" for mark in path)
    if not path or odd or pure.is_absolute() or ".." in pure.parts or str(pure) != path or path == MANIFEST_NAME:
        raise InputError(f"{where}: {path!r} cannot be a file of a bundle.")


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
