"""`edge runtime list|get|add`: Paddle Lite's libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge.base.errors import EdgeError, UsageError
from edge.base.suggest import did_you_mean
from edge.device.board import list_profiles, load_profile
from edge.runtime.store import (
    RELEASE,
    Runtime,
    add_runtime,
    get_runtime,
    load_runtime,
    read_lock,
    release_url,
    wheel_runtime,
)
from edge.terminal.commandline import group, print_json
from edge.terminal.options import json_option
from edge.terminal.steps import steps


@group()
def runtime() -> None:
    """Get and check Paddle Lite's libraries; each is pinned by its SHA-256 when it is first used."""


@runtime.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the builds that boards need, and which of them are here."""
    users: dict[str, list[str]] = {}
    for name in list_profiles():
        spec = load_profile(name).runtime
        users.setdefault(spec.build or "wheel", []).append(name)
    rows: list[dict[str, Any]] = []
    lock = read_lock()
    for build in sorted({*users, *lock}, key=lambda name: (name != "wheel", name)):
        row: dict[str, Any] = {"build": build, "boards": users.get(build, []), "here": False}
        try:
            if build == "wheel" or build in lock:
                row |= {"here": True, **_document(wheel_runtime() if build == "wheel" else load_runtime(build))}
        except EdgeError as error:
            row["problem"] = error.message
        rows.append(row)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        state = row.get("problem", "not here")
        if row["here"]:
            state = f"{row['version'] or 'unknown version'}, {row['abi']}"
        click.secho(row["build"], bold=True)
        click.echo(f"  {state}")
        if row["boards"]:
            click.echo(f"  for {', '.join(row['boards'])}")


@runtime.command("get")
@click.argument("name")
@click.option("--mirror", metavar="URL", help="Server with the releases. [default: $PLATE_EDGE_RUNTIME_MIRROR, else GitHub]")
@click.option("--update", is_flag=True, help="Accept content that differs from what is pinned.")
@click.option("--timeout", default=30.0, show_default=True, help="Give up after this many seconds without a byte.")
@json_option
def get(name: str, mirror: str | None, update: bool, timeout: float, as_json: bool) -> None:
    """Fetch the library for NAME: a kind of board, or a build."""
    build = name
    if name in list_profiles():
        build = load_profile(name).runtime.build or "wheel"
    elif name != "wheel" and not name.startswith("inference_lite_lib") and name not in read_lock():
        guess = did_you_mean(name, list_profiles())
        raise UsageError(f"{name!r} is neither a kind of board nor a build.{guess}", "`edge runtime list` shows both.")
    with steps(quiet=as_json) as shown:
        report, count = shown.board(name)
        if build != "wheel":
            report(f"fetching {release_url(build, mirror)}")
        found = get_runtime(build, mirror=mirror, update=update, timeout=timeout, progress=count)
    _show(found, as_json)


@runtime.command("add")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--build", metavar="NAME", help="The build it stands in for. [default: the one for its kind of board]")
@click.option("--update", is_flag=True, help="Replace the one that is pinned.")
@json_option
def add(path: Path, build: str | None, update: bool, as_json: bool) -> None:
    """Take the library in PATH, a folder or an archive.

    An archive is unpacked with distrust: links out of it, devices, absolute paths and bombs are refused.
    """
    if build in list_profiles():
        build = load_profile(str(build)).runtime.build
    _show(add_runtime(path, build=build, update=update), as_json)


def _show(found: Runtime, as_json: bool) -> None:
    if as_json:
        print_json(_document(found))
        return
    click.echo(f"{found.build}: Paddle Lite {found.version or '(no version inside)'} for {found.elf.abi}")
    for place, path in found.libraries:
        click.echo(f"  {place}  {path.stat().st_size:,} bytes")
    needs = ", ".join(f"{family} {version}" for family, version in sorted(found.elf.versions.items()))
    click.echo(f"  needs {needs or 'no particular versions'}; headers: {'yes' if found.include else 'no'}")
    click.echo(f"  sha256 {found.sha256}")
    if found.version and found.version != RELEASE:
        click.echo(f"  note: the kit's own opt is {RELEASE}; another release may refuse its .nb files")


def _document(found: Runtime) -> dict[str, Any]:
    return {
        "build": found.build,
        "version": found.version,
        "abi": found.elf.abi,
        "sha256": found.sha256,
        "source": found.source,
        "folder": str(found.folder),
        "headers": found.include is not None,
        "libraries": [place for place, _ in found.libraries],
        "requires": dict(found.elf.versions),
        "replay": found.replay,
    }
