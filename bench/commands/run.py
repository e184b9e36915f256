"""`bench run`: measure models on a board, write the result and its report."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.base.errors import EdgeError, ExitCode, NotValidError, UsageError
from edge.base.plural import counted
from edge.base.progress import Say
from edge.terminal.commandline import command, print_json
from edge.terminal.options import (
    det_side_option,
    examples,
    fleet_options,
    force_option,
    inventory_option,
    json_option,
    model_options,
    photos_option,
    recursive_option,
    settings_option,
    several,
    threads_option,
)

if TYPE_CHECKING:

    from bench.measure.target import GivenPhotos, SystemUnderTest
    from bench.plan.plan import Plan
    from bench.record.result import Result
    from edge.device.board import Device


@command(epilog=examples(
    "bench run --device local --plan quick",
    "bench run --device gate --threads 1,2 --det-side max:512,min:736",
    "bench run --group lab --require-valid",
))
@fleet_options
@inventory_option
@model_options(text="the plan's: both", own=True)
@threads_option("the board's")
@several("--power-mode", "power_modes", metavar="MODE", help="high, low, full or none. [default: the board's]")
@det_side_option(text="own", name="det_sides")
@click.option("--plan", "plan_name", default="default", show_default=True, metavar="PLAN",
              help="How long to measure: quick (25 s), default, publish, or a YAML file.")  # fmt: skip
@photos_option("Photos or folders. [default: the kit's samples]")
@recursive_option
@settings_option()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for result and report. [default: out/NAME/TIME]")  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue the session in the folder; never start a new one.")
@force_option("Replace a finished result in the folder.")
@click.option("--installed", is_flag=True, help="Measure the release that is on the board; build and send nothing.")
@click.option("--dry-run", is_flag=True, help="Print plan and duration; measure nothing.")
@click.option("--require-valid", is_flag=True, help="Exit with 10 unless the verdict is VALID.")
@click.option("--sample-every", type=click.FloatRange(0, 3600), default=2.0, show_default=True, metavar="SECONDS",
              help="How often to read temperature, clock and load while a process runs; 0: never.")  # fmt: skip
@click.option("--tune-board", is_flag=True, help="Set the board's knobs (--knob) for the run, and put them back.")
@several("--knob", "knobs", pairs=True, metavar="NAME=VALUE",
         help="With --tune-board: governor, max_mhz, min_mhz, boost or cpus. [default: governor=performance]")  # fmt: skip
@click.option("--soc-alias", is_flag=True, help="Tell the runtime it is on a chip whose int8 dot product it uses.")
@click.option("--compare-host/--no-compare-host", default=None,
              help="Read the photos on this host too and compare. [default: for real boards]")  # fmt: skip
@click.option("--no-history", is_flag=True, help="Do not add the result to `bench history`.")
@click.option("--no-report", is_flag=True, help="Write result.json only.")
@json_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
def run(device: tuple[str, ...], group: tuple[str, ...], inventory: Path | None, **options: Any) -> None:
    """Measure models on a board, or on several at once, and write result and report.

    If an option has several values, every combination is measured, and their processes take turns. What was measured
    is kept whatever happens; the same command continues from there. If one of several boards fails, the others go on.
    """
    from bench.measure.folder import choose_folder
    from bench.measure.opening import resolve_plan
    from edge.device.fleet import select_devices

    if options["resume"] and options["force"]:
        raise UsageError("--resume continues a session, --force replaces it.", "Give one of them.")
    devices = select_devices(device, group, inventory)
    knobs = _knobs(options)
    options["given"] = _given(options)
    if len(devices) > 1:
        _fleet(devices, options, knobs)
        return
    plan = resolve_plan(_plan(options), devices[0])
    if options["dry_run"]:
        _dry_run({devices[0].name: plan}, options)
        return
    out = choose_folder(devices[0].name, plan, options["out"], resume=options["resume"], force=options["force"])
    signal.signal(signal.SIGTERM, _terminated)
    result = _measure(devices[0], plan, out, options, knobs)
    _finish(result, out, options)


def _fleet(devices: list[Device], options: dict[str, Any], knobs: dict[str, str] | None) -> None:
    """Measures several boards, each as if alone, into a folder of its own below `--out`."""
    from bench.judge.summary import summarise_result
    from bench.measure.fleet import Measured, measure_fleet, show_fleet
    from bench.measure.folder import choose_folder
    from bench.measure.opening import resolve_plan
    from bench.report.write import write_outputs

    plans = {item.name: resolve_plan(_plan(options), item) for item in devices}
    if options["dry_run"]:
        _dry_run(plans, options)
        return
    folders = {}
    for name, plan in plans.items():
        own = options["out"] / name if options["out"] else None
        folders[name] = choose_folder(name, plan, own, resume=options["resume"], force=options["force"])
    signal.signal(signal.SIGTERM, _terminated)

    def work(item: Device) -> Measured:
        out = folders[item.name]
        result = _measure(item, plans[item.name], out, options, knobs, fleet=True)
        summary = summarise_result(result)
        files = write_outputs(result, summary, out, report=not options["no_report"])
        return Measured(result, summary, out, files)

    outcomes = measure_fleet(devices, work)
    for outcome in outcomes:
        if outcome.value is not None:
            _remember(outcome.value.result, options)
    sys.exit(int(show_fleet(outcomes, as_json=options["as_json"], require_valid=options["require_valid"])))


def _given(options: dict[str, Any]) -> GivenPhotos | None:
    """Looks at the photos before anything is built or sent, and says what is left out."""
    if not options["photos"]:
        return None
    from bench.measure.target import find_photos

    given = find_photos(options["photos"], recursive=options["recursive"])
    for note in given.notes:
        click.echo(f"note: {note}", err=True)
    return given


def _left_out(options: dict[str, Any]) -> dict[str, Any]:
    """The same for `--json`, which has these keys wherever photos were given."""
    return options["given"].listed.document() if options["given"] is not None else {}


def _plan(options: dict[str, Any]) -> Plan:
    from dataclasses import replace

    from bench.plan.plan import OWN_KEYS, PRESETS, load_plan, with_options
    from edge.bundle.zoo import check_precisions, check_sets, model_sets
    from edge.release.install import parse_settings
    from edge.release.read_photos import check_settings

    plan = load_plan(options["plan_name"])
    if options["plan_name"] in PRESETS:
        plan = replace(plan, models=tuple(model_sets()[:1]), det_sides=("own",))
    keys = ("models", "precisions", "threads", "power_modes", "det_sides")
    plan = with_options(plan, **{key: options[key] for key in keys})
    if not options["installed"]:  # A board's release may hold sets that this host does not have.
        check_sets(plan.models)
        check_precisions(plan.models, plan.precisions)
    extra = parse_settings(options["settings"])
    check_settings(extra)
    taken = set(OWN_KEYS) & set(extra)
    if taken:
        raise UsageError(f"--set {min(taken)}: this key has an option of its own.", "See `bench run --help`.")
    return replace(plan, options=tuple({**dict(plan.options), **extra}.items())) if extra else plan


def _knobs(options: dict[str, Any]) -> dict[str, str] | None:
    from bench.conditions.knobs import parse_knobs

    if options["knobs"] and not options["tune_board"]:
        raise UsageError("--knob changes the board.", "Add --tune-board, or remove --knob.")
    return parse_knobs(options["knobs"]) if options["tune_board"] else None


def _measure(
    device: Device, plan: Plan, out: Path, options: dict[str, Any], knobs: dict[str, str] | None, *, fleet: bool = False
) -> Result:
    """Measures one board, as the only writer of the folder."""
    from edge.base.alone import alone_in

    with alone_in(out, "edge bench run"):
        return _measure_alone(device, plan, out, options, knobs, fleet=fleet)


def _measure_alone(
    device: Device, plan: Plan, out: Path, options: dict[str, Any], knobs: dict[str, str] | None, *, fleet: bool
) -> Result:
    from bench.measure.opening import close_target, kit_facts, open_target, tuned_board
    from bench.measure.progress import Watch
    from bench.measure.session import Session
    from bench.record.collect import collect
    from bench.record.raw import SESSION_NAME, note_tuning

    watch = Watch(quiet=options["quiet"], board=device.name if fleet else "")
    target: SystemUnderTest | None = None
    try:
        target = open_target(
            device, plan, photos=options["given"], installed=options["installed"], report=watch.step
        )
        if options["soc_alias"]:
            from bench.measure.soc_alias import aliased

            target = aliased(target, plan, watch.step)
        command = ("bench", *(shlex.quote(word) for word in sys.argv[1:]))
        tuning = None
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
            wanted = options["compare_host"]
            if wanted is None:
                # A release that was only found there may hold models that this host does not have.
                wanted = target.device["kind"] == "board" and not options["installed"]
            if wanted:
                result = _compare_host(result, target, plan, out, watch.step)
            _keep_photos(result, target, out)
            return result
        except (EdgeError, KeyboardInterrupt, OSError) as error:
            if tuning is not None and (out / SESSION_NAME).is_file():
                note_tuning(out, tuning.document())
            _keep(out, error)
            raise
    finally:
        watch.close()
        if target is not None:
            close_target(target)


def _compare_host(
    result: Result, target: SystemUnderTest, plan: Plan, out: Path, report: Say
) -> Result:
    """Adds what this host reads; a host that cannot read them is no reason to lose a measurement."""
    from bench.measure.opening import compare_with_host
    from bench.record.collect import collect
    from bench.record.raw import note_host_check

    try:
        note_host_check(out, compare_with_host(result, target, plan, report))
    except (EdgeError, OSError, ValueError) as error:
        click.echo(f"the board's plates were not compared with this host's: {error}", err=True)
    return collect(out)


def _keep_photos(result: Result, target: SystemUnderTest, out: Path) -> None:
    """Small copies of the photos for the report; a report without photos is better than none."""
    from bench.report.photos import keep_photos

    try:
        keep_photos(result, out, {photo.sha256: photo.local for photo in target.photos})
    except (EdgeError, OSError) as error:
        click.echo(f"the photos are not in the report: {error}", err=True)


def _keep(out: Path, error: BaseException) -> None:
    """Makes a result from what there is; if that fails too, the raw lines are still there."""
    from bench.judge.summary import summarise_result
    from bench.record.collect import collect
    from bench.record.raw import RAW
    from bench.report.write import write_outputs

    why = "interrupted" if isinstance(error, KeyboardInterrupt) else str(getattr(error, "message", "") or error)
    try:
        result = collect(out, why=why)
        if not result.complete and any(process.times for process in result.processes):
            write_outputs(result, summarise_result(result), out, report=False)
            click.echo(f"what was measured is kept in {out}, marked incomplete", err=True)
    except (EdgeError, OSError):
        if (out / RAW).is_dir():
            click.echo(f"what was measured is kept in {out / RAW}", err=True)


def _finish(result: Result, out: Path, options: dict[str, Any]) -> None:

    from bench.judge.summary import summarise_result
    from bench.report.write import write_outputs
    from bench.text.table import output, print_table

    summary = summarise_result(result)
    files = write_outputs(result, summary, out, report=not options["no_report"])
    if options["as_json"]:
        named = {"result": str(out), "complete": result.complete, "files": [str(path) for path in files]}
        print_json({**named, **summary.document(), **_left_out(options)})
    else:
        print_table(result, summary, output())
        for path in files:
            click.echo(str(path))
    _remember(result, options)
    if not result.complete:
        raise _Partial(f"not everything could be measured: {result.why}.", f"The rest is in {out}.")
    if options["require_valid"] and summary.level != "VALID":
        raise NotValidError(f"the verdict is {summary.level}.", "The reasons are in the table above and in the report.")


def _remember(result: Result, options: dict[str, Any]) -> None:
    """Adds the result to the history; a history that cannot be written is no reason to fail a measurement."""
    from bench.compare.history import OFF, History, news, url_in_use

    # Under another chip's name the board would seem to have become faster one day, and slower the next.
    if options["no_history"] or options["soc_alias"] or url_in_use() == OFF:
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


def _dry_run(plans: dict[str, Plan], options: dict[str, Any]) -> None:

    from bench.measure.duration import expected_seconds

    expected = {device: expected_seconds(plan, device) for device, plan in plans.items()}
    if options["as_json"]:
        documents = [
            {"device": device, "plan": plan.document(), "order": [slot.cell.key for slot in plan.slots],
             "expected": expected[device], **_left_out(options)}
            for device, plan in plans.items()
        ]  # fmt: skip
        print_json(documents[0] if len(documents) == 1 else documents)
        return
    for device, plan in plans.items():
        _say_plan(device, plan)
        click.echo(f"expected: {expected[device]['text']}")


def _say_plan(device: str, plan: Plan) -> None:
    size = f"{counted(len(plan.cells), 'combination')} x {counted(plan.processes, 'process')}"
    click.echo(f"plan {plan.name!r} on {device}: {size}")
    click.echo(
        f"each process: load, first photo, warm-up (>= {plan.warmup} photos and {plan.warmup_ms / 1000:g} s), "
        f">= {plan.repeats} photos and {plan.min_ms / 1000:g} s, at most {plan.max_ms / 1000:g} s"
    )
    if plan.box_s:
        least = plan.least_processes
        click.echo(f"time box: {plan.box_s:g} s; what would not end within it is left out, beyond round {least}")
    for slot in plan.slots:
        click.echo(f"  {slot.index + 1:3d}  round {slot.round + 1}  {slot.cell.key}")


def _terminated(number: int, frame: object) -> None:
    raise KeyboardInterrupt
