"""`bench report`: write the reports of a result."""

from __future__ import annotations

from pathlib import Path

import click

from edge.base.errors import UsageError
from edge.terminal.commandline import command, print_json
from edge.terminal.options import examples, force_option, json_option


@command(epilog=examples("bench report out/gate/20260101-120000 --force"))
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for the reports. [default: beside the result]")  # fmt: skip
@force_option("Replace existing reports.")
@json_option
def report(result: Path, out: Path | None, force: bool, as_json: bool) -> None:
    """Write report.md, report.csv and report.html from RESULT (a result.json or its folder)."""
    from bench.judge.summary import summarise_result
    from bench.record.result import load_result
    from bench.report.photos import FOLDER, INDEX
    from bench.report.write import REPORT_NAMES, write_reports

    loaded = load_result(result)
    beside = result if result.is_dir() else result.parent
    folder = out or beside
    existing = [name for name in REPORT_NAMES if (folder / name).exists()]
    if existing and not force:
        raise UsageError(f"{folder / existing[0]} exists.", "Give another folder with --out, or --force to replace it.")
    if folder != beside and (beside / FOLDER / INDEX).is_file():
        import shutil

        shutil.copytree(beside / FOLDER, folder / FOLDER, dirs_exist_ok=True)
    files = write_reports(loaded, summarise_result(loaded), folder)
    if as_json:
        print_json({"files": [str(path) for path in files]})
        return
    for path in files:
        click.echo(str(path))
