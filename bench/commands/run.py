"""`bench run`: measure models on a board, write the result and its report."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.errors import EdgeError, ExitCode, NotValidError, UsageError

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.result import Result
    from bench.target import Target


@click.command()
@click.option("--device", required=True, metavar="NAME", help="A device of your inventory, or `local`.")
@click.option("--models", multiple=True, metavar="SET", help="May be repeated. [default: the kit's best]")
@click.option("--precision", "precisions", multiple=True, metavar="NAME", help="fp32 or int8; may be repeated.")
@click.option("--threads", multiple=True, type=int, help="May be repeated. [default: the board's]")
@click.option("--power-mode", "power_modes", multiple=True, help="high, low, full, none. [default: the board's]")
@click.option("--det-side", "det_sides", multiple=True, metavar="SIDE", help="736, min:736, max:640, own; repeatable.")
@click.option("--plan", "plan_name", default="default", show_default=True, help="quick, default, publish, or YAML.")
@click.option("--photos", multiple=True, type=click.Path(path_type=Path), help="Photo or folder; may be repeated.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of plate.conf for every cell.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder. [default: out/NAME/TIME]")
@click.option("--resume", is_flag=True, help="Go on with the session in the folder; refuse to begin a new one.")
@click.option("--force", is_flag=True, help="Replace a finished result in the folder.")
@click.option("--installed", is_flag=True, help="Measure the release that is on the board; build and send nothing.")
@click.option("--dry-run", is_flag=True, help="Print plan and duration; measure nothing.")
@click.option("--require-valid", is_flag=True, help="Exit with 10 unless the verdict is VALID.")
@click.option("--sample-every", type=click.FloatRange(0, 3600), default=2.0, show_default=True, metavar="SECONDS",
              help="Look at temperature, clock and load while a process runs; 0 never.")  # fmt: skip
@click.option("--tune-board", is_flag=True, help="Set the board's knobs for the run, and put them back.")
@click.option("--knob", "knobs", multiple=True, metavar="NAME=VALUE",
              help="governor, max_mhz, min_mhz, boost, cpus. [default: governor=performance]")  # fmt: skip
@click.option("--no-history", is_flag=True, help="Do not add the result to `bench history`.")
@click.option("--no-report", is_flag=True, help="Write result.json only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
@click.option("--quiet", is_flag=True, help="No progress.")
def run(device: str, **options: Any) -> None:
    """Measure models on a board and write result and report.

    Processes of all combinations are interleaved; what was measured is kept whatever happens, and the same command
    goes on from there.
    """
    from bench.opening import resolve_plan
    from edge.board import find_device

    plan = resolve_plan(_plan(options), find_device(device))
    knobs = _knobs(options)
    if options["dry_run"]:
        _dry_run(device, plan, options["as_json"])
        return
    out = _folder(device, plan, options["out"], resume=options["resume"], force=options["force"])
    signal.signal(signal.SIGTERM, _terminated)
    result = _measure(device, plan, out, options, knobs)
    _finish(result, out, options)


def _plan(options: dict[str, Any]) -> Plan:
    from dataclasses import replace

    from bench.plan import PRESETS, load_plan, with_options
    from edge.install import parse_settings
    from edge.prepare import model_sets

    plan = load_plan(options["plan_name"])
    if options["plan_name"] in PRESETS:
        plan = replace(plan, models=tuple(model_sets()[:1]), det_sides=("own",))
    keys = ("models", "precisions", "threads", "power_modes", "det_sides")
    plan = with_options(plan, **{key: options[key] for key in keys})
    extra = parse_settings(options["settings"])
    taken = {"threads", "power_mode", "det_limit_type", "det_limit_side", "det_model", "rec_model", "dict"} & set(extra)
    if taken:
        raise UsageError(f"--set {min(taken)}: this key has an option of its own.", "See `bench run --help`.")
    return replace(plan, options=tuple({**dict(plan.options), **extra}.items())) if extra else plan


def _knobs(options: dict[str, Any]) -> dict[str, str] | None:
    from bench.knobs import parse_knobs

    if options["knobs"] and not options["tune_board"]:
        raise UsageError("--knob changes the board.", "Say so with --tune-board, or leave it away.")
    return parse_knobs(options["knobs"]) if options["tune_board"] else None


def _folder(device: str, plan: Plan, out: Path | None, *, resume: bool, force: bool) -> Path:
    """Chooses the folder, and refuses to overwrite a finished result."""
    import json
    from datetime import datetime, timezone

    from bench.raw import RAW, SESSION_NAME, is_done, read_session
    from bench.result import RESULT_NAME

    mine = json.loads(json.dumps(plan.document()))

    def unfinished(folder: Path) -> bool:
        return (folder / SESSION_NAME).is_file() and not all(is_done(folder / RAW, slot) for slot in plan.slots)

    if out is None:
        parent = Path("out") / device
        for folder in sorted(parent.glob("*/"), reverse=True):
            if (folder / SESSION_NAME).is_file() and read_session(folder)["plan"] == mine and unfinished(folder):
                return folder
        if resume:
            raise UsageError(f"there is no unfinished session of this plan in {parent}.", "Leave --resume away.")
        return parent / datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    if not (out / SESSION_NAME).is_file():
        if resume:
            raise UsageError(f"{out} holds no session to go on with.", "Leave --resume away.")
        if (out / RESULT_NAME).exists() and not force:
            raise UsageError(f"{out / RESULT_NAME} exists.", "Give another folder, or --force to replace it.")
        return out
    same = read_session(out)["plan"] == mine
    if (same and unfinished(out)) or resume:
        return out
    if not force:
        raise UsageError(
            f"{out} holds a {'finished session' if same else 'session of another plan'}.",
            "Give another folder with --out, or --force to replace it.",
        )
    # Only what a session wrote; the user's own files beside it stay.
    shutil.rmtree(out / RAW, ignore_errors=True)
    for name in (SESSION_NAME, RESULT_NAME):
        (out / name).unlink(missing_ok=True)
    return out


def _measure(device: str, plan: Plan, out: Path, options: dict[str, Any], knobs: dict[str, str] | None) -> Result:
    from bench.opening import close_target, kit_facts, open_target, tuned_board
    from bench.progress import Watch
    from bench.raw import collect, note_tuning
    from bench.session import Session

    watch = Watch(quiet=options["quiet"])
    target: Target | None = None
    try:
        target = open_target(
            device, plan, photos=list(options["photos"]) or None, installed=options["installed"], report=watch.step
        )
        command = ("bench", *(shlex.quote(word) for word in sys.argv[1:]))
        try:
            out.mkdir(parents=True, exist_ok=True)
            with tuned_board(device, target, knobs, watch.step) as tuning:
                result = Session(
                    target, plan, out, kit=kit_facts(), command=command, reporter=watch,
                    sample_seconds=options["sample_every"], tuning=tuning,
                ).run()  # fmt: skip
            if tuning is not None:
                note_tuning(out, tuning.document())
                result = collect(out)
            _keep_photos(result, target, out)
            return result
        except (EdgeError, KeyboardInterrupt, OSError) as error:
            _keep(out, error)
            raise
    finally:
        watch.close()
        if target is not None:
            close_target(target)


def _keep_photos(result: Result, target: Target, out: Path) -> None:
    """Small copies of the photos for the report; a report without photos is better than none."""
    from bench.report.photos import keep_photos

    try:
        keep_photos(result, out, {photo.sha256: photo.local for photo in target.photos})
    except (EdgeError, OSError) as error:
        click.echo(f"the photos are not in the report: {error}", err=True)


def _keep(out: Path, error: BaseException) -> None:
    """Makes a result of what there is; if that fails too, the raw lines are still there."""
    from bench.output import write_outputs
    from bench.raw import collect

    why = "interrupted" if isinstance(error, KeyboardInterrupt) else str(getattr(error, "message", "") or error)
    try:
        result = collect(out, why=why)
        if any(process.times for process in result.processes):
            write_outputs(result, out, report=False)
            click.echo(f"what was measured is kept in {out}, marked incomplete", err=True)
    except (EdgeError, OSError):
        click.echo(f"what was measured is kept in {out / 'raw'}", err=True)


def _finish(result: Result, out: Path, options: dict[str, Any]) -> None:
    import json

    from rich.console import Console

    from bench.output import write_outputs
    from bench.summary import summarise_result
    from bench.table import print_table

    summary = summarise_result(result)
    files = write_outputs(result, out, summary=summary, report=not options["no_report"])
    if options["as_json"]:
        named = {"result": str(out), "complete": result.complete, "files": [str(path) for path in files]}
        click.echo(json.dumps({**named, **summary.document()}, ensure_ascii=False))
    else:
        console = Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else 140)
        print_table(result, summary, console)
        for path in files:
            click.echo(str(path))
    if not options["no_history"]:
        _remember(result)
    if not result.complete:
        raise _Partial(f"not everything could be measured: {result.why}.", f"The rest is in {out}.")
    if options["require_valid"] and summary.level != "VALID":
        raise NotValidError(f"the verdict is {summary.level}.", "The reasons are in the table above and in the report.")


def _remember(result: Result) -> None:
    """Adds the result to the history; a history that cannot be written is no reason to fail a measurement."""
    from bench.history import OFF, History, news, url_in_use

    if url_in_use() == OFF:
        return
    try:
        store = History(url_in_use())
        try:
            for line in news(store, result) if store.add(result) else []:
                click.echo(line, err=True)
        finally:
            store.close()
    except EdgeError as error:
        click.echo(f"the result is not in the history: {error}", err=True)


class _Partial(EdgeError):
    exit_code = ExitCode.PARTIAL


def _dry_run(device: str, plan: Plan, as_json: bool) -> None:
    import json

    from bench.duration import expected_seconds

    expected = expected_seconds(plan, device)
    if as_json:
        slots = [slot.cell.key for slot in plan.slots]
        click.echo(json.dumps({"device": device, "plan": plan.document(), "order": slots, "expected": expected}))
        return
    click.echo(f"plan {plan.name!r} on {device}: {len(plan.cells)} combinations x {plan.processes} processes")
    click.echo(
        f"each process: load, first photo, warm-up (>= {plan.warmup} photos and {plan.warmup_ms / 1000:g} s), "
        f">= {plan.repeats} photos and {plan.min_ms / 1000:g} s, at most {plan.max_ms / 1000:g} s"
    )
    if plan.box_s:
        least = plan.least_processes
        click.echo(f"time box: {plan.box_s:g} s; what would not end within it is left out, beyond round {least}")
    for slot in plan.slots:
        click.echo(f"  {slot.index + 1:3d}  round {slot.round + 1}  {slot.cell.key}")
    click.echo(f"expected: {expected['text']}")


def _terminated(number: int, frame: object) -> None:
    raise KeyboardInterrupt
