"""What is said of a program that a signal ended, by every command that starts one: the signal, and what is known of why."""

from __future__ import annotations

import signal

from edge.base.errors import EdgeError, HostError, ModelError
from edge.host.processor import NEEDS, Processor, host_processor

_MEANS = {
    signal.SIGILL: "an illegal instruction",
    signal.SIGTRAP: "a trap",
    signal.SIGABRT: "an abort",
    signal.SIGBUS: "a bus error",
    signal.SIGFPE: "a division by zero or the like",
    signal.SIGKILL: "a kill",
    signal.SIGSEGV: "a segmentation fault",
    signal.SIGTERM: "a request to end",
    signal.SIGXCPU: "a limit on CPU time",
}
KILLED = "Something else ended it; `dmesg` says whether the kernel did, for lack of memory."


def signal_number(code: int) -> int:
    """The signal in an exit code: Python gives -n, shells give 128 + n; 0 when the program ended by itself."""
    number = -code if code < 0 else code - 128
    return number if 0 < number < signal.NSIG else 0


def ended_by(number: int) -> str:
    """Returns, for example, `was ended by SIGILL (an illegal instruction)`."""
    try:
        known = signal.Signals(number)
    except ValueError:
        return f"was ended by signal {number}"
    return f"was ended by {known.name}" + (f" ({_MEANS[known]})" if known in _MEANS else "")


def illegal_instruction(library: str, processor: Processor, where: str = "this computer's processor") -> tuple[str, str]:
    """What the features of a processor say about a SIGILL.

    Args:
        library: The one that was running; of `processor.NEEDS` where its needs on x86 are known.
        processor: The one that it ran on.
        where: Whose that is, for the sentence.

    Returns:
        A sentence with the missing feature where one is known to be needed, else with those it lacks; and the next step.
    """
    called = f"{where} ({processor.name})" if processor.name else where
    missing = processor.missing(library)
    if missing:
        return f"{called} lacks {', '.join(missing)}, which {library} needs", processor.remedy()
    report = "The library may use one of these unasked: report it with what `edge doctor --json` prints."
    if not processor.flags:
        return f"the features of {where} are not known", report
    if library in NEEDS and processor.lacks:
        return f"{called} has what {library} is known to need; it lacks {', '.join(processor.lacks)}", report
    return f"{called} has every feature that the kit knows of", "Report it with what `edge doctor --json` prints."


def ended_here(
    program: str, number: int, *, library: str = "", hint: str = "", kind: type[ModelError] = ModelError
) -> EdgeError:
    """The error for a program on this computer that a signal ended.

    Args:
        program: How the message calls it, with what it was doing.
        number: Of the signal.
        library: The runtime inside; empty when it is `program`.
        hint: The next step for signals that say nothing about this computer.
        kind: The error for these.

    Returns:
        `HostError` for SIGILL and SIGKILL, which no model is to blame for; else one of `kind`.
    """
    said = f"{program} {ended_by(number)}"
    if number == signal.SIGILL:
        why, step = illegal_instruction(library or program, host_processor())
        return HostError(f"{said}: {why}.", step)
    if number == signal.SIGKILL:
        return HostError(f"{said}.", KILLED)
    return kind(f"{said}.", hint)
