"""`edge build`: the C++ program for this host or a board."""

from __future__ import annotations

from pathlib import Path

import click

from edge.base.errors import HostError, UsageError
from edge.bundle.toolchain import ABIS, BuildResult, build_program
from edge.terminal.bars import bars
from edge.terminal.commandline import command, print_json
from edge.terminal.options import board_option, examples, inventory_option, json_option


@command(epilog=examples("edge build", "edge build --device rk3399"))
@board_option(None, " [default: this host]")
@click.option("--abi", type=click.Choice([*ABIS, "host"]), help="Build for any board of this ABI.")
@click.option("--cpu", metavar="NAME", help="Value of -mcpu (ARM) or -march (x86). [default: the board's, or none]")
@click.option("--runtime", type=click.Path(path_type=Path), metavar="PATH",
              help="Runtime library to link with, a folder or an archive.")  # fmt: skip
@click.option("--static-libstdcxx", is_flag=True, help="Link libstdc++ statically; needs a glibc as new as the compiler's.")
@click.option("--sanitize", is_flag=True, help="Build with the address and undefined-behaviour sanitizers.")
@click.option("--tests", is_flag=True, help="Build the unit tests too.")
@json_option
@inventory_option
def build(
    device: str | None,
    abi: str | None,
    cpu: str | None,
    runtime: Path | None,
    static_libstdcxx: bool,
    sanitize: bool,
    tests: bool,
    as_json: bool,
    inventory: Path | None,
) -> None:
    """Build the C++ program for a board.

    Without --device and --abi, it is built for this host. Does nothing where that build exists.
    """
    if device and abi:
        raise UsageError("--device and --abi cannot be given together.", "A device has its own ABI.")
    if runtime is not None and runtime.is_file():
        runtime = _unpacked(runtime)
    if device:
        abi, cpu, runtime = _of_device(device, cpu, runtime, inventory)
    abi = abi or "host"
    with bars() as show:
        result = build_program(
            abi,
            runtime_dir=runtime,
            cpu=cpu,
            sanitize=sanitize,
            static_libstdcxx=static_libstdcxx,
            tests=tests,
            progress=lambda _, done, total: show(f"building for {abi}", done, total),
        )
    if as_json:
        print_json(_document(result))
        return
    state = "exists already" if result.skipped else f"was built in {result.seconds:.1f} s"
    click.echo(f"{result.program} ({result.abi}) {state}.")
    click.echo(f"JPEGs are decoded by {result.jpeg}.")
    if result.tests:
        click.echo(f"Unit tests: {result.tests}")


def _document(result: BuildResult) -> dict[str, object]:
    return {
        "program": str(result.program),
        "tests": str(result.tests) if result.tests else None,
        "abi": result.abi,
        "bytes": result.program.stat().st_size,
        "seconds": result.seconds,
        "skipped": result.skipped,
        "jpeg": result.jpeg,
    }


def _unpacked(archive: Path) -> Path:
    """Folder of the library in an archive; what boards use is not touched."""
    from edge.runtime.store import add_runtime

    return add_runtime(archive, build="edge-build", update=True).folder


def _of_device(
    name: str, cpu: str | None, runtime: Path | None, inventory: Path | None
) -> tuple[str, str | None, Path | None]:
    """ABI, CPU and library of a device, or of a kind of board."""
    from edge.device.board import find_board
    from edge.runtime.store import runtime_for

    board = find_board(name, inventory)
    if runtime is None:
        try:
            runtime = runtime_for(board).folder
        except HostError:
            # Without the board's library the program is linked against a stub, and runs with the library all the same.
            runtime = None
    return board.abi, cpu or board.cpu or None, runtime
