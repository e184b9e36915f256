"""A small release with a program compiled here, for tests of installing: seconds instead of 175 MB of runtime."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest

from edge.base.paths import sha256_file
from edge.bundle.bundle import Bundle, make_bundle
from edge.bundle.zoo import ModelPair
from edge.device.board import Board, load_profile
from edge.model.card import Card, Charset, Input, Model, save_model
from edge.protocol.base import CompletedCommand, Transport
from edge.release.flash import flash
from edge.release.releases import current_release, look
from edge.runtime.elf import read_elf
from edge.runtime.store import Runtime
from edge.transport.local import LocalTransport

Make = Callable[[str], Bundle]
Done = TypeVar("Done")

# Answers as plate_ocr does; what it reads comes from the model file, so that another model gives another answer.
PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int plate_library(void);
int main(int argc, char **argv) {
    const char *conf = argc > 3 ? argv[3] : "";
    char path[4096], line[256] = "";
    snprintf(path, sizeof path, "%s", conf);
    char *slash = strrchr(path, '/');
    if (slash) strcpy(slash + 1, "rec.nb");
    FILE *f = fopen(path, "rb");
    if (!f) { fprintf(stderr, "plate_ocr: error: %s cannot be opened\n", path); return 4; }
    fseek(f, 18, SEEK_SET);
    if (!fgets(line, sizeof line, f)) return 4;
    fclose(f);
    line[strcspn(line, "\n")] = 0;
    if (!strcmp(line, "NOTHING")) { puts("{\"image\": \"x\", \"plates\": [], \"ms\": {\"total\": 1}}"); return 0; }
    if (!strcmp(line, "HANG")) for (;;) sleep(1);
    if (!strcmp(line, "CRASH")) *(volatile int *)0 = plate_library();
    if (!strcmp(line, "GARBAGE")) { for (int i = 0; i < 4000; ++i) putchar(i * 7 % 251); return 0; }
    if (!strcmp(line, "FLOOD")) for (long i = 0; i < (1L << 24); ++i)
        puts("0123456789012345678901234567890123456789012345678901234567890123");
    printf("{\"image\": \"x\", \"plates\": [{\"box\": [[0,0],[100,0],[100,30],[0,30]],"
           " \"text\": \"%s\", \"score\": 0.9}], \"ms\": {\"total\": 1}}\n", line);
    return 0;
}
"""
LIBRARY = "int plate_library(void) { return 7; }\n"
COMPILERS = {"x86_64": "gcc", "arm64": "aarch64-linux-gnu-gcc", "armhf": "arm-linux-gnueabihf-gcc"}
OPT = b"v2.13-rc"
# What the release reads that is switched on, and the one that is flashed in its place.
OLD, NEW = "皖A00001", "京B22222"


def compile_program(folder: Path, abi: str = "x86_64") -> tuple[Path, Path]:
    """Returns a program and the library that it needs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.c").write_text(PROGRAM)
    (folder / "library.c").write_text(LIBRARY)
    library, program = folder / "libpaddle_light_api_shared.so", folder / "plate_ocr"
    compiler = COMPILERS[abi]
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-Wl,-soname," + library.name, "-o", library, folder / "library.c"], check=True
    )
    subprocess.run([compiler, "-w", "-o", program, folder / "program.c", library], check=True)
    return program, library


def make_runtime(library: Path, version: str = "v2.13-rc") -> Runtime:
    return Runtime(
        build="test",
        folder=library.parent,
        library=library,
        libraries=((library.name, library),),
        include=None,
        version=version,
        source="test",
        sha256=sha256_file(library),
        elf=read_elf(library),
    )


def make_model(folder: Path, task: str, text: str = "皖A12345", *, target: str = "x86", opt: bytes = OPT) -> Model:
    """A model folder whose `.nb` has a real header and, in the place of weights, the text that the program prints."""
    folder.mkdir(parents=True, exist_ok=True)
    body = b"\x02\x00" + opt.ljust(16, b"\0") + text.encode() + b"\n" + bytes(range(256)) * 800
    (folder / f"{task}.nb").write_bytes(body)
    charset = None
    if task == "rec":
        (folder / "dict.txt").write_text("A\nB\n", encoding="utf-8")
        charset = Charset("dict.txt", sha256_file(folder / "dict.txt"), 3)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    card = Card(
        name=f"test-{task}",
        task=task,
        architecture="test",
        format="nb",
        precision="fp32",
        input=Input("x", 48 if task == "rec" else 0, 320 if task == "rec" else 0, 32, 1 / 255, mean, std),
        charset=charset,
        target=target,
    )
    return save_model(folder, card, [f"{task}.nb"])


def make_pair(folder: Path, text: str = "皖A12345", *, target: str = "x86", opt: bytes = OPT) -> ModelPair:
    det = make_model(folder / "det", "det", "detector", target=target, opt=opt)
    return ModelPair("test", "fp32", det, make_model(folder / "rec", "rec", text, target=target, opt=opt))


def local_board() -> Board:
    return replace(load_profile("local"), name="bench")


def make_release(
    folder: Path,
    text: str = "皖A12345",
    *,
    board: Board | None = None,
    abi: str = "x86_64",
    opt: bytes = OPT,
    labels: Mapping[str, str] | None = None,
) -> Bundle:
    """A bundle of some 0.5 MB; `text` is what its program reads, `labels` what stands in its photos, if that is known."""
    shared = folder / f"program-{abi}"
    program, library = shared / "plate_ocr", shared / "libpaddle_light_api_shared.so"
    if not program.is_file():
        compile_program(shared, abi)
    target = "x86" if abi == "x86_64" else "arm"
    pair = make_pair(folder / f"models-{abi}-{abs(hash(text))}", text, target=target, opt=opt)
    samples = folder / ("samples" if labels is None else f"samples-{abs(hash(tuple(labels.items())))}")
    samples.mkdir(exist_ok=True)
    for name in labels or ("photo.jpg",):
        (samples / name).write_bytes(b"\xff\xd8" + bytes(range(256)) * 200)
    if labels is not None:
        box = [[0, 0], [100, 0], [100, 30], [0, 30]]
        truth = {name: [{"text": shown, "box": box}] for name, shown in labels.items()}
        (samples / "labels.json").write_text(json.dumps(truth), encoding="utf-8")
    return make_bundle(
        board or local_board(), program, make_runtime(library), [pair], samples=sorted(samples.iterdir())
    )


def commands_of(transport: Transport, work: Callable[[], Done]) -> tuple[int, Done]:
    """How many commands some work gives to a board, each of which costs a way there and back; and its outcome."""
    count, honest = 0, type(transport).run

    def run(*args: Any, **options: Any) -> CompletedCommand:
        nonlocal count
        count += 1
        return honest(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(transport), "run", run)
        done = work()
    return count, done


def release_maker(folder: Path, *, board: Board | None = None, abi: str = "x86_64") -> Make:
    """Returns what makes the release that reads a text, each once."""
    return cache(lambda text: make_release(folder, text, board=board, abi=abi))


def reads(root: str, transport: Transport | None = None) -> str:
    """What the switched-on release reads, run as a user would."""
    link = transport or LocalTransport()
    release = current_release(link, root)
    assert release is not None
    argv, env = release.command("test-fp32", "run", release.samples[0])
    return str(json.loads(link.run_check(argv, env=env, timeout=600).stdout)["plates"][0]["text"])


def at(step: str, act: Callable[[], object]) -> Callable[[str], None]:
    """A `report` that does something when a step begins."""

    def report(text: str) -> None:
        if text.split(" ")[0].rstrip(":") == step:
            act()

    return report


def recovers(root: str, make: Make, transport: Transport | None = None) -> None:
    """The old release runs, and the same flash now succeeds."""
    link = transport or LocalTransport()
    assert reads(root, link) == OLD
    done = flash(link, root, make(NEW))
    assert not done.already
    assert reads(root, link) == NEW
    assert look(link, root).lock == ""
