"""Profiles: all that are shipped are sound, and a wrong one is refused at the line."""

from __future__ import annotations

import pytest

from edge.base.errors import InputError, UsageError
from edge.device.board import Device, find_device, list_profiles, load_profile, parse_profile, parse_ssh_address
from edge.device.yaml_table import parse_yaml
from edge.host.cpuinfo import CORES

WANTED = {
    *("rk3399", "rk3568", "rk3588", "rpi3", "rpi4", "rpi5", "jetson-nano", "imx8m", "local", "virtual"),
    *("generic-arm64", "generic-armhf", "android-arm64", "android-armv7"),
}
GOOD = """title: A board
soc: chip
system: linux
abi: arm64
clusters:
  - {core: cortex-a72, part: "0xd08", count: 2, max_mhz: 1800, features: []}
runtime: {source: archive, build: some.build}
threads: 2
power_mode: high
transport: ssh
root: ~/plate-edge
"""


def test_every_profile_that_was_promised_is_there() -> None:
    assert set(list_profiles()) >= WANTED


@pytest.mark.parametrize("name", list_profiles())
def test_profile_is_sound(name: str) -> None:
    board = load_profile(name)
    assert board.name == name and board.title and board.notes
    for cluster in board.clusters:
        assert CORES[cluster.part] == cluster.core, "name and part number do not belong together"
    speeds = [cluster.max_mhz for cluster in board.clusters]
    assert speeds == sorted(speeds, reverse=True), "the fastest cluster comes first"
    # Arm: the dot product and half precision came with Armv8.2, so no core before Cortex-A55 and A75 has them.
    old = {"cortex-a53", "cortex-a57", "cortex-a72", "cortex-a73"}
    assert not any(cluster.core in old and cluster.features for cluster in board.clusters)
    assert (board.transport == "adb") == board.abi.startswith("android-") == (board.system == "android")
    kind = {"arm64": "armlinux.armv8", "armhf": "armlinux.armv7hf", "android-arm64": "android.armv8"}
    kind["android-armv7"] = "android.armv7"
    assert (board.runtime.source == "wheel") == (board.abi == "host")
    assert board.abi == "host" or f".{kind[board.abi]}." in board.runtime.build


def test_rk3399_is_not_given_slow_cores() -> None:
    board = load_profile("rk3399")
    assert (board.big_cores, board.cores, board.threads) == (2, 6, 2)
    assert board.features == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("threads: 2", "threads: 3", 8, "only 2 cores of the fastest kind"),
        ("threads: 2", "threads: two", 8, "whole number"),
        ("power_mode: high", "power_mode: hihg", 9, "Did you mean 'high'"),
        ("soc: chip", "sok: chip", 1, "'soc' is missing"),
        ("soc: chip", "soc: chip\nsystm: x", 3, "Did you mean 'system'"),
        ("system: linux", "system: linux\nsystem: linux", 4, "given twice"),
        ("count: 2", "count: 0", 6, "within 1..256"),
        ("root: ~/plate-edge", "root: [a", 11, "malformed YAML"),
    ],
)
def test_wrong_profile_is_refused_at_the_line(old: str, new: str, line: int, words: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse_profile("x", parse_yaml(GOOD.replace(old, new), "x.yml"))
    assert refusal.value.message.startswith(f"x.yml:{line}: ")
    assert words in refusal.value.message


def test_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'rk3399'"):
        load_profile("rk3999")


def test_local_needs_no_inventory(own_cache: object) -> None:
    device = find_device("local")
    assert device.transport == "local" and device.root.startswith(str(own_cache))


def test_profile_without_address_says_how_to_add_one(own_cache: object) -> None:
    for name, option in (("rk3399", "--ssh"), ("android-arm64", "--adb")):
        with pytest.raises(UsageError) as refusal:
            find_device(name)
        assert f"edge device add {name} --board {name} {option}" in refusal.value.hint


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("pi@10.0.0.7:2222", ("pi", "10.0.0.7", 2222)),
        ("ssh://root@board.lan", ("root", "board.lan", 0)),
        ("alias", ("", "alias", 0)),
        ("pi@[fe80::1%eth0]:22", ("pi", "fe80::1%eth0", 22)),
    ],
)
def test_ssh_address(text: str, parts: tuple[str, str, int]) -> None:
    assert parse_ssh_address(text) == parts
    user, host, port = parts
    device = Device("x", load_profile("rk3399"), "ssh", host, port, user)
    assert parse_ssh_address(device.address) == parts


NO_ADDRESSES = ["", "pi@", "-oProxyCommand=id", "a b", "h:99999", "h:x", "pi@h;id", "fe80::1", "h\n"]


@pytest.mark.parametrize("text", [*NO_ADDRESSES, "board..lan", "board.lan..", "b" * 64])
def test_what_is_no_ssh_address(text: str) -> None:
    with pytest.raises(InputError):
        parse_ssh_address(text)
