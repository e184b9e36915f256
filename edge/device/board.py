"""Board profiles: what is known about a kind of board before one is asked, and devices: boards with an address.

A profile is a file `edge/boards/<name>.yml`. It holds facts (system on chip, cores, instruction set extensions) and
advice (threads, power mode, library); `edge probe` reads the truth from a board and says where it differs.
The user's devices are in `devices.yml`, the inventory; `edge.device.inventory` changes it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edge.base.errors import InputError, UsageError
from edge.base.paths import cache_dir, config_dir
from edge.base.suggest import did_you_mean
from edge.device.yaml_table import Table, read_yaml
from edge.host.cpuinfo import POWER_MODES

INVENTORY_SCHEMA = "plate-edge/devices/1"
INVENTORY_ENV = "PLATE_EDGE_INVENTORY"

BOARDS_DIR = Path(__file__).resolve().parents[1] / "boards"
SYSTEMS = ("linux", "android")
TRANSPORTS = ("local", "ssh", "adb")
# What the C++ program is built for; "host" is this machine, whatever it is.
ABIS = ("host", "arm64", "armhf", "android-arm64", "android-armv7")
RUNTIME_SOURCES = ("wheel", "archive")


@dataclass(frozen=True)
class Cluster:
    """Cores of one kind.

    Attributes:
        core: Core type as Arm calls it, lower case: `cortex-a72`.
        part: `CPU part` in `/proc/cpuinfo`, such as `0xd08`; empty where it is not an ARM core or not known.
        count: Number of cores.
        max_mhz: Highest clock in MHz; 0 where not known.
        features: Flags of `/proc/cpuinfo` that matter to the runtime: `asimddp` (int8 dot product), `asimdhp` (fp16).
    """

    core: str
    part: str
    count: int
    max_mhz: int
    features: tuple[str, ...]


@dataclass(frozen=True)
class RuntimeSpec:
    """Which build of Paddle Lite fits a board.

    Attributes:
        source: `wheel` (the host's Python package) or `archive` (an official release archive or a folder like it).
        build: Name of the archive without `.tar.gz`; empty for the wheel.
    """

    source: str
    build: str


@dataclass(frozen=True)
class Board:
    """One kind of board.

    Attributes:
        name: Name of the profile.
        title: Name for people.
        soc: System on chip.
        system: `linux` or `android`.
        abi: One of `ABIS`: what the C++ program is built for.
        cpu: Value of the compiler's `-mcpu`, or empty for the architecture's base line.
        clusters: Fastest first; empty where it depends on the machine (`local`, the generic profiles).
        runtime: The library that fits.
        threads: Recommended threads, never more than the big cores.
        power_mode: Recommended power mode of the runtime, one of `edge.host.cpuinfo.POWER_MODES`.
        transport: How it is reached unless a device says otherwise: `local`, `ssh` or `adb`.
        root: Folder of the kit's releases on the board; `~/` is the home of the user who logs in.
        notes: Sentences that a user should know.
    """

    name: str
    title: str
    soc: str
    system: str
    abi: str
    cpu: str
    clusters: tuple[Cluster, ...]
    runtime: RuntimeSpec
    threads: int
    power_mode: str
    transport: str
    root: str
    notes: tuple[str, ...]

    @property
    def cores(self) -> int:
        """Number of cores of all clusters; 0 where not known."""
        return sum(cluster.count for cluster in self.clusters)

    @property
    def big_cores(self) -> int:
        """Number of cores of the fastest kind, beyond which more threads do harm; 0 where not known."""
        return self.clusters[0].count if self.clusters else 0

    @property
    def features(self) -> tuple[str, ...]:
        """Features that every core has."""
        if not self.clusters:
            return ()
        first, *others = self.clusters
        return tuple(name for name in first.features if all(name in other.features for other in others))


@dataclass(frozen=True)
class Device:
    """One board that can be reached: a profile and an address.

    Attributes:
        name: The user's name for it.
        board: Its profile.
        transport: `local`, `ssh` or `adb`.
        host: ssh: host name, address, or alias of `~/.ssh/config`.
        port: ssh: port; 0 = what `~/.ssh/config` says, else 22.
        user: ssh: user; empty = what `~/.ssh/config` says, else this host's user.
        key: ssh: private key file; empty = agent, `~/.ssh/config` and the usual files.
        jump: ssh: jump host(s) `[user@]host[:port]`, comma separated, as ssh's `-J`; empty = `~/.ssh/config`.
        serial: adb: serial number or `host:port`; empty = the only one attached.
        root: Folder of the kit's releases on it; may begin with `~/` (see `edge.transport.connect.device_root`).
        groups: Names under which `--group` finds it.
        where: `file:line` of its entry; empty for built-in ones.
    """

    name: str
    board: Board
    transport: str
    host: str = ""
    port: int = 0
    user: str = ""
    key: str = ""
    jump: str = ""
    serial: str = ""
    root: str = "~/plate-edge"
    groups: tuple[str, ...] = ()
    where: str = ""

    @property
    def address(self) -> str:
        """How a person would write where it is: `local`, `ssh://user@host:port`, `adb:serial`."""
        if self.transport == "ssh":
            user = f"{self.user}@" if self.user else ""
            host = f"[{self.host}]" if ":" in self.host else self.host
            return f"ssh://{user}{host}" + (f":{self.port}" if self.port else "")
        if self.transport == "adb":
            return f"adb:{self.serial or 'the only one attached'}"
        return "local"


def list_profiles() -> list[str]:
    """Returns the names of all board profiles, sorted."""
    return sorted(path.stem for path in BOARDS_DIR.glob("*.yml"))


@lru_cache(maxsize=64)
def load_profile(name: str) -> Board:
    """Returns the profile `edge/boards/<name>.yml`.

    Raises:
        UsageError: No profile of that name; lists the profiles.
        InputError: The file is malformed, with file and line.
    """
    names = list_profiles()
    if name not in names:
        raise UsageError(
            f"There is no board profile {name!r}.{did_you_mean(name, names)}", f"Profiles: {', '.join(names)}."
        )
    path = BOARDS_DIR / f"{name}.yml"
    return parse_profile(name, read_yaml(path))


def parse_profile(name: str, table: Table) -> Board:
    """Reads a profile from an open YAML table; see `load_profile`."""
    clusters = tuple(_cluster(item) for item in table.tables("clusters")) if "clusters" in table else ()
    runtime = table.table("runtime")
    source = runtime.choice("source", RUNTIME_SOURCES)
    spec = RuntimeSpec(source, runtime.text("build") if source == "archive" else "")
    runtime.finish()
    board = Board(
        name=name,
        title=table.text("title"),
        soc=table.text("soc"),
        system=table.choice("system", SYSTEMS),
        abi=table.choice("abi", ABIS),
        cpu=table.text("cpu") if "cpu" in table else "",
        clusters=clusters,
        runtime=spec,
        threads=table.number("threads", low=1, high=64),
        power_mode=table.choice("power_mode", POWER_MODES),
        transport=table.choice("transport", TRANSPORTS),
        root=table.text("root"),
        notes=table.texts("notes"),
    )
    table.finish()
    if clusters and board.threads > board.big_cores:
        raise table.error("threads", f"{board.threads} threads, but only {board.big_cores} cores of the fastest kind.")
    return board


def _cluster(table: Table) -> Cluster:
    cluster = Cluster(
        core=table.text("core"),
        part=table.text("part") if "part" in table else "",
        count=table.number("count", low=1, high=256),
        max_mhz=table.number("max_mhz", 0, high=10_000),
        features=table.texts("features"),
    )
    table.finish()
    return cluster


def inventory_path(inventory: Path | None = None) -> Path:
    """Returns the inventory in use: the one given, `$PLATE_EDGE_INVENTORY`, or `devices.yml` of the user's settings."""
    if inventory is not None:
        return inventory
    named = os.environ.get(INVENTORY_ENV)
    return Path(named) if named else config_dir() / "devices.yml"


def load_inventory(inventory: Path | None = None) -> dict[str, Device]:
    """Reads the user's devices.

    Args:
        inventory: The file; None for the usual one, which may be missing (then there are no devices).

    Returns:
        Devices by name, in the order of the file. `local` is not among them unless the file names it.

    Raises:
        InputError: With file and line: unknown key or profile, bad name or address; a given file is missing.
    """
    path = inventory_path(inventory)
    if not path.exists():
        if inventory is not None:
            raise InputError(f"There is no inventory {path}.", "`edge device add --inventory FILE ...` makes one.")
        return {}
    return parse_inventory(read_yaml(path))


def parse_inventory(table: Table) -> dict[str, Device]:
    """Reads the devices of an open YAML table; see `load_inventory`."""
    if table.entries:
        schema = table.text("schema")
        if schema != INVENTORY_SCHEMA:
            raise table.error("schema", f"schema {schema!r} is not known.", f"This kit reads {INVENTORY_SCHEMA!r}.")
    devices = {}
    if "devices" in table:
        listed = table.table("devices")
        for name, entry in listed.items():
            check_device_name(name, f"{listed.where}:{listed.lines[name]}: ")
            devices[name] = _device(name, entry, f"{listed.where}:{listed.lines[name]}")
    table.finish()
    return devices


def check_device_name(name: str, where: str = "") -> None:
    """Refuses device and group names that could be mistaken for an option, a list, a path or shell syntax.

    Raises:
        InputError: Says what a name may be.
    """
    if not re.fullmatch(r"\w[\w.-]{0,63}", name) or name.endswith("."):
        raise InputError(
            f"{where}{name!r} cannot be a device or group name.",
            "Use up to 64 letters, digits, '_', '-' and '.', beginning with a letter or digit.",
        )


def find_device(name: str, inventory: Path | None = None) -> Device:
    """Returns the device of that name: from the inventory, or the built-in `local`.

    Raises:
        UsageError: No such device; for a profile's name says how to add a device of that kind.
        InputError: The inventory is malformed, with file and line.
    """
    devices = load_inventory(inventory)
    if name in devices:
        return devices[name]
    if name == "local":
        return Device("local", load_profile("local"), "local", root=str(cache_dir("boards") / "local"))
    path = inventory_path(inventory)
    if name == "virtual":
        raise UsageError("The virtual board is not up.", "`edge virtual up` starts it and adds it to your devices.")
    if name in list_profiles():
        address = "--adb SERIAL" if load_profile(name).transport == "adb" else "--ssh USER@ADDRESS"
        raise UsageError(
            f"{name!r} is a board profile, and {path} has no device of that name, so its address is not known.",
            f"Add it with its address: edge device add {name} --board {name} {address}",
        )
    known = [*devices, "local"]
    raise UsageError(
        f"There is no device {name!r} in {path}.{did_you_mean(name, known)}",
        f"Devices: {', '.join(known)}. "
        f"Add one: edge device add {name} --board PROFILE --ssh USER@ADDRESS",
    )


def find_board(name: str, inventory: Path | None = None) -> Board:
    """Returns the board of a device, or the profile of that name where no device has it: nothing is asked of a board.

    Raises:
        UsageError: Neither; see `find_device`.
        InputError: The inventory is malformed, with file and line.
    """
    if name in list_profiles() and name not in load_inventory(inventory):
        return load_profile(name)
    return find_device(name, inventory).board


def _device(name: str, table: Table, where: str) -> Device:
    board = load_profile(table.choice("board", list_profiles()))
    given = [kind for kind in ("ssh", "adb") if kind in table]
    if len(given) > 1:
        raise table.error("adb", f"device {name!r} has both 'ssh' and 'adb'.", "Keep the one by which it is reached.")
    if not given and board.transport != "local":
        raise table.error(
            None,
            f"device {name!r} has no address.",
            "Add `ssh: user@host:port`, or `adb: serial`, `adb: host:port`, `adb: any` (the only one attached).",
        )
    transport = given[0] if given else "local"
    user, host, port, serial = "", "", 0, ""
    if transport == "ssh":
        try:
            user, host, port = parse_ssh_address(table.text("ssh"))
        except InputError as error:
            raise table.error("ssh", error.message, error.hint) from error
    if transport == "adb":
        serial = table.text("adb")
        if not re.fullmatch(r"[\w.:\[\]%-]+", serial) or serial.startswith("-"):
            raise table.error("adb", f"{serial!r} is not a serial number or host:port.", "`adb devices` lists them.")
        serial = "" if serial == "any" else serial
    for key in ("key", "jump"):
        if key in table and transport != "ssh":
            raise table.error(key, f"{key!r} belongs to ssh; device {name!r} is reached by {transport}.")
    local_root = str(cache_dir("boards") / name) if transport == "local" else board.root
    root = table.text("root", local_root)
    if not root.startswith(("/", "~/")) or "\n" in root or "\0" in root:
        raise table.error("root", f"{root!r} is not an absolute folder.", "Write /folder, or ~/folder.")
    groups = table.texts("groups")
    for group in groups:
        check_device_name(group, f"{table.where}:{table.lines['groups']}: ")
    key, jump = table.text("key", ""), table.text("jump", "")
    for hop in jump.split(",") if jump else ():
        try:
            parse_ssh_address(hop.strip())
        except InputError as error:
            raise table.error("jump", error.message, error.hint) from error
    device = Device(name, board, transport, host, port, user, key, jump, serial, root, groups, where)
    table.finish()
    return device


def parse_ssh_address(text: str) -> tuple[str, str, int]:
    """Splits `[ssh://][user@]host[:port]`, the host in brackets when it is an IPv6 address.

    Returns:
        User (may be empty), host, port (0 when not given).

    Raises:
        InputError: Not such an address.
    """
    match = re.fullmatch(
        r"(?:ssh://)?(?:(?P<user>[\w.][\w.+-]*)@)?(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[\w][\w.-]*))(?::(?P<port>\d{1,5}))?",
        text,
    )
    labels = (match["host"] or "x").removesuffix(".").split(".") if match else []
    if match is None or int(match["port"] or 0) > 65535 or any(not 0 < len(label) < 64 for label in labels):
        raise InputError(f"{text!r} is not an ssh address.", "Write [user@]host[:port]; an IPv6 address in [brackets].")
    return match["user"] or "", match["six"] or match["host"], int(match["port"] or 0)
