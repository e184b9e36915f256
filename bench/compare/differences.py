"""Under which conditions two results differ: all that both record, besides those that forbid a comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bench.plan.plan import PlanFacts
from bench.record.parts import without_kinds
from bench.record.result import Process, Result, ResultCell

# More than this is another memory; less is what a kernel or a firmware keeps for itself.
_MEMORY = 0.05
_SHORT = 12
_PLAN = {"warmup": "warm-up photos", "warmup_ms": "warm-up time", "repeats": "repeats", "processes": "processes",
         "min_ms": "least time", "cooldown_s": "cool-down"}  # fmt: skip


def differences(a: Result, b: Result, shared: Sequence[ResultCell]) -> list[str]:
    """Names what differs between two results.

    Args:
        a: The baseline.
        b: The candidate.
        shared: Combinations of both, as in B.

    Returns:
        One sentence each, with the value of both sides; of equal conditions only the program's is named.
    """
    notes = []
    if a.device.get("name") != b.device.get("name"):
        notes.append(f"two boards of the same kind: {a.device.get('name')} and {b.device.get('name')}")
    if a.device.get("soc_alias") != b.device.get("soc_alias"):
        notes.append("one of the two was measured with --soc-alias")
    notes += [*_software(a, b), *_photos(a, b), *_machine(a, b), *_plan(a.plan, b.plan), *_cells(a, b, shared)]
    return notes + _running(a, b, shared)


def _pair(what: str, old: object, new: object) -> list[str]:
    return [f"{what}: {_shown(old)} and {_shown(new)}"] if old != new else []


def _shown(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    text = str(value)
    is_hash = len(text) in (40, 64) and all(letter in "0123456789abcdef" for letter in text)
    return "unknown" if value in (None, "") else text[:_SHORT] if is_hash else text


def _software(a: Result, b: Result) -> list[str]:
    notes = []
    if a.program.get("sha256") == b.program.get("sha256"):
        notes.append("the program is the same")
    else:
        notes += _pair("different program", a.program.get("sha256"), b.program.get("sha256"))
        notes += _pair("different compiler of the program", a.program.get("compiler"), b.program.get("compiler"))
    versions = [side.runtime.get("version") for side in (a, b)]
    notes += _pair("different version of Paddle Lite", *versions)
    libraries = [(side.runtime.get("build"), side.runtime.get("sha256")) for side in (a, b)]
    if libraries[0][1] != libraries[1][1]:
        told = " and ".join(f"{_shown(build)} {_shown(digest)}" for build, digest in libraries)
        notes.append(f"different build of Paddle Lite's library: {told}")
    kits = [(side.kit.get("version"), side.kit.get("git")) for side in (a, b)]
    if kits[0] != kits[1]:
        notes.append("different kit: " + " and ".join(f"{_shown(version)} at {_shown(git)}" for version, git in kits))
    dirty = [name for name, side in (("A", a), ("B", b)) if side.kit.get("dirty")]
    if dirty:
        notes.append(f"uncommitted changes in the kit of {' and '.join(dirty)}")
    return notes


def _photos(a: Result, b: Result) -> list[str]:
    sets = [[photo.sha256 for photo in side.photos] for side in (a, b)]
    if sets[0] == sets[1]:
        truths = [[without_kinds(photo.truth) for photo in side.photos] for side in (a, b)]
        return ["the photos are labelled with different plates"] if truths[0] != truths[1] else []
    if sorted(sets[0]) == sorted(sets[1]):
        return ["the same photos in a different order"]
    notes = []
    for name, mine, other in (("A", a, sets[1]), ("B", b, sets[0])):
        alone = [photo.name for photo in mine.photos if photo.sha256 not in other]
        if alone:
            more = f" and {len(alone) - 5} more" if alone[5:] else ""
            notes.append(f"photos only in {name}: {', '.join(alone[:5])}{more}")
    return notes


def _machine(a: Result, b: Result) -> list[str]:
    notes = []
    for key, what in (("kernel", "different kernel"), ("system", "different system"),
                      ("max_khz", "different highest clocks"), ("features", "different CPU features"),
                      ("online", "different cores online"),
                      ("aslr", "different setting of address randomisation")):  # fmt: skip
        old, new = a.facts.get(key), b.facts.get(key)
        notes += _pair(what, *map(_in_order, (old, new))) if old != new else []
    memory = [float(side.facts.get("memory_kb") or 0) for side in (a, b)]
    if all(memory) and abs(memory[0] - memory[1]) > _MEMORY * max(memory):
        notes.append("different memory: " + " and ".join(f"{value / 2**20:.1f} GiB" for value in memory))
    for key, what in (("transport", "different way to the board"), ("title", "different title of the board")):
        notes += _pair(what, a.device.get(key), b.device.get(key))
    return notes


def _in_order(value: object) -> object:
    if isinstance(value, dict):
        return sorted(value.items())
    return sorted(value) if isinstance(value, list) else value


def _plan(a: PlanFacts, b: PlanFacts) -> list[str]:
    return [note for key, what in _PLAN.items() for note in _pair(f"plan, {what}", a.get(key), b.get(key))]


def _cells(a: Result, b: Result, shared: Sequence[ResultCell]) -> list[str]:
    notes = []
    names = {cell.key for cell in shared}
    alone = {cell.key for cell in (*a.cells, *b.cells)} - names
    if alone:
        notes.append(f"in only one of the two: {', '.join(sorted(alone))}")
        for key, what in (("model", "models"), ("precision", "precisions"), ("threads", "threads"),
                          ("power_mode", "power modes"), ("side", "detector sides")):  # fmt: skip
            sides = [list(dict.fromkeys(getattr(cell, key) for cell in side.cells)) for side in (a, b)]
            notes += _pair(f"different {what}", *sides) if set(sides[0]) != set(sides[1]) else []
    for cell in shared:
        before = a.cell(cell.key)
        differing = [part for part, digest in cell.hashes.items() if before.hashes.get(part, digest) != digest]
        if differing:
            notes.append(f"{cell.key}: different {', '.join(differing)}")
        opts = [", ".join(f"{part} {version}" for part, version in sorted(side.opt.items())) for side in (before, cell)]
        notes += _pair(f"{cell.key}: made by a different opt", *opts)
    return notes


def _running(a: Result, b: Result, shared: Sequence[ResultCell]) -> list[str]:
    """What the processes reported: cores, threads, and how the board was set."""
    notes = []
    looks: tuple[tuple[str, Callable[[Process], object]], ...] = (
        ("ran on different cores", lambda process: tuple(process.effective.get("affinity") or ()) or None),
        ("different threads in effect", lambda process: (process.effective.get("threads") or {}).get("effective")),
        ("different power mode in effect", lambda process: (process.effective.get("power_mode") or {}).get("effective")),
        ("different governor", lambda process: _values((process.before or {}).get("governors"))),
        ("different power source", lambda process: (process.before or {}).get("power_source")),
    )
    for what, look in looks:
        found: dict[str, list[str]] = {}
        for cell in shared:
            sides = [_told(map(look, side.of(cell.key))) for side in (a, b)]
            if all(sides) and sides[0] != sides[1]:
                found.setdefault(f"{what}: {' and '.join(sides)}", []).append(cell.key)
        notes += [text if len(keys) == len(shared) else f"{', '.join(keys)}: {text}" for text, keys in found.items()]
    return notes


def _values(table: object) -> str | None:
    return ", ".join(sorted({str(value) for value in table.values()})) if isinstance(table, dict) and table else None


def _told(values: Iterable[object]) -> str:
    return " / ".join(dict.fromkeys(_shown(value) for value in values if value is not None))
