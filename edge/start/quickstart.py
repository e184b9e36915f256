"""The way from nothing to the first report: a few answers become a list of the kit's own commands.

Every step is a command that a person could have typed, and is shown as one: whoever has gone this way once needs no
guide the second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.base.errors import UsageError
from edge.base.suggest import did_you_mean
from edge.device.board import Board, Device, inventory_path, list_profiles, load_inventory, load_profile, parse_ssh_address
from edge.runtime.store import read_lock

# Way -> what it is, for people.
WAYS: dict[str, str] = {
    "laptop": "this computer, and nothing else",
    "ssh": "a board with Linux, reached by ssh",
    "adb": "an Android phone, or a board that adb reaches",
    "virtual": "a virtual ARM board on this computer (emulated: answers, no times)",
}
PLANS = ("quick", "default", "publish")
VIRTUAL_PROFILES = {"arm64": "virtual", "armhf": "virtual-armhf"}


@dataclass(frozen=True)
class Choices:
    """What was asked for.

    Attributes:
        way: One of `WAYS`.
        address: `[user@]host[:port]` for ssh, serial, `host:port` or `any` for adb; else empty.
        board: Board profile for ssh and adb; `arm64` or `armhf` for a virtual board; else empty.
        plan: How thoroughly to measure, one of `PLANS`, or a YAML file.
        name: Name of the device; empty for the one that fits the way.
        key: ssh: private key, or empty.
        fingerprint: ssh: of the host key that is to be trusted, or empty to be asked.
        library: Folder or archive with Paddle Lite's library for the board; None to fetch it when it is not here.
    """

    way: str
    address: str = ""
    board: str = ""
    plan: str = "quick"
    name: str = ""
    key: str = ""
    fingerprint: str = ""
    library: Path | None = None

    @property
    def device(self) -> str:
        """Name of the device: the one given, else `local`, `virtual`, `phone` (Android), or the profile's."""
        if self.name or self.way in ("laptop", "virtual"):
            return self.name or {"laptop": "local"}.get(self.way, "virtual")
        profile = load_profile(self.board or default_board(self.way))
        # `local` is this host itself, and no name for another computer.
        return "phone" if profile.system == "android" else "board" if profile.name == "local" else profile.name

    @property
    def command(self) -> tuple[str, ...]:
        """Words after `edge` that give these answers without a question."""
        words = ["quickstart", "--on", self.way]
        given = {
            "--address": self.address, "--board": self.board, "--plan": self.plan, "--name": self.name,
            "--key": self.key, "--fingerprint": self.fingerprint, "--runtime": str(self.library or ""),
        }  # fmt: skip
        return (*words, *(word for option, value in given.items() if value for word in (option, value)))


@dataclass(frozen=True)
class KitCommand:
    """One command of the way.

    Attributes:
        why: What it is for, in a few words.
        argv: Words after `edge`.
    """

    why: str
    argv: tuple[str, ...]


def default_board(way: str) -> str:
    """Returns the board that fits when nobody says which: a profile without advice, or the architecture."""
    return {"ssh": "generic-arm64", "adb": "android-arm64", "virtual": "arm64"}.get(way, "")


def boards_for(way: str) -> list[str]:
    """Returns what may be answered for a board of that way."""
    if way == "virtual":
        return list(VIRTUAL_PROFILES)
    virtual = set(VIRTUAL_PROFILES.values())
    return [name for name in list_profiles() if load_profile(name).transport == way and name not in virtual]


def check(choices: Choices) -> None:
    """Refuses answers that do not belong together.

    Raises:
        UsageError: Says which option is missing or does not fit.
        InputError: The address is not one.
    """
    if choices.way in ("ssh", "adb") and not choices.address:
        shown = "USER@HOST" if choices.way == "ssh" else "SERIAL"
        raise UsageError(
            f"A device reached by {choices.way} needs its address.",
            f"edge quickstart --on {choices.way} --address {shown}",
        )
    if choices.way == "ssh":
        parse_ssh_address(choices.address)
    # Said now, and not by the last step after all the others.
    if choices.plan not in PLANS and not Path(choices.plan).is_file():
        raise UsageError(
            f"{choices.plan!r} is not a plan.{did_you_mean(choices.plan, PLANS)}", f"Use {', '.join(PLANS)}, or a YAML file."
        )
    if choices.way in ("laptop", "virtual") and choices.address:
        raise UsageError(f"--address does not belong to --on {choices.way}.", "Leave --address out, or name another way.")
    if choices.way != "ssh" and (choices.key or choices.fingerprint):
        raise UsageError("--key and --fingerprint belong to --on ssh.", "Leave them out.")
    if choices.way == "laptop" and (choices.board or choices.library or choices.name):
        raise UsageError("--board, --runtime and --name belong to boards.", "Leave them out, or say which with --on.")
    known = boards_for(choices.way)
    # Any board may have an ssh server or adb's daemon: a phone the one, a Linux board the other.
    allowed = known if choices.way == "virtual" else list_profiles()
    if choices.board and choices.board not in allowed:
        guess = did_you_mean(choices.board, allowed)
        raise UsageError(
            f"{choices.board!r} is not a board for --on {choices.way}.{guess}", f"Boards: {', '.join(known)}."
        )


def steps(choices: Choices, inventory: Path | None = None) -> list[KitCommand]:
    """Returns the commands that lead to the first report; steps that are done already are left out.

    Args:
        choices: What was asked for; see `check`.
        inventory: The user's devices; None for the usual file.

    Raises:
        UsageError: Choices that do not fit, or another device of that name is known.
        InputError: The inventory is malformed.
    """
    check(choices)
    name = choices.device
    device = ("--device", name)
    board = _board(choices)
    way = [KitCommand("what this computer lacks", ("doctor", "--no-devices", "--brief", *_purposes(choices, board)))]
    if choices.way == "virtual":
        way.append(KitCommand("switch the virtual board on", ("virtual", "up", name, "--arch", choices.board or "arm64")))
    elif choices.way != "laptop":
        # A file that is not there yet is made by the first step.
        known = load_inventory(inventory) if inventory_path(inventory).exists() else {}
        way += _introduce(choices, known.get(name))
    if board is not None and board.runtime.source == "archive":
        if choices.library is not None:
            words = ("runtime", "add", str(choices.library), "--build", board.runtime.build)
            way.append(KitCommand("take Paddle Lite's library", words))
        elif board.runtime.build not in read_lock():
            way.append(KitCommand("fetch Paddle Lite's library for the board", ("runtime", "get", board.name)))
    if choices.way != "laptop":
        way.append(KitCommand("install program and models, verified", ("flash", *device)))
    way.append(KitCommand("read the sample photos", ("run", *device)))
    way.append(KitCommand("measure, and write the report", ("bench", "run", *device, "--plan", choices.plan)))
    return way


def _board(choices: Choices) -> Board | None:
    if choices.way == "laptop":
        return None
    name = choices.board or default_board(choices.way)
    return load_profile(VIRTUAL_PROFILES[name] if choices.way == "virtual" else name)


def _purposes(choices: Choices, board: Board | None) -> list[str]:
    """Options of the doctor for what this way needs."""
    wanted = [] if choices.way == "laptop" else [choices.way]
    if board is not None and board.abi != "host":
        wanted.append("android" if board.system == "android" else board.abi)
    return ["--for", ",".join(wanted)] if wanted else []


def _introduce(choices: Choices, known: Device | None) -> list[KitCommand]:
    """Adds the device unless the very same one is known, lets its host key be trusted, and looks at it."""
    name, board = choices.device, choices.board or default_board(choices.way)
    way: list[KitCommand] = []
    if known is None:
        words = ["device", "add", name, "--board", board, f"--{choices.way}", choices.address]
        words += ["--key", choices.key] if choices.key else []
        way.append(KitCommand("remember the device", tuple(words)))
    elif known.board.name != board or known.transport != choices.way or not _same_address(known, choices.address):
        raise UsageError(
            f"{known.where} already has a device {name!r}: {known.board.name}, {known.address}.",
            f"Give this one another name with --name, or remove that one: edge device remove {name}",
        )
    if choices.way == "ssh":
        trusted = ("--fingerprint", choices.fingerprint) if choices.fingerprint else ()
        way.append(KitCommand("trust its host key", ("device", "trust", name, *trusted)))
    return [*way, KitCommand("look at the board", ("probe", "--device", name))]


def _same_address(known: Device, address: str) -> bool:
    if known.transport == "ssh":
        return (known.user, known.host, known.port) == parse_ssh_address(address)
    return known.serial == ("" if address == "any" else address)
