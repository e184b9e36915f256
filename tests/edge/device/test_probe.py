"""Probing: what boards say, turned into facts; and what the checks make of the facts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.base.errors import DeviceError
from edge.base.finding import Finding
from edge.bundle.manifest import Manifest
from edge.commands.device import probe as probe_command
from edge.device.board import find_device, load_profile
from edge.device.probe import Probe, parse_probe, probe
from edge.release.preflight import CHECKS, BoardFacts, check_board, examine, run_checks
from edge.release.releases import parse_look
from edge.transport.connect import connect

NOW = 1_700_000_000.0
# First bytes of programs: class at 4, machine at 18, for 32 bits the flags at 36.
ARM64 = "7f 45 4c 46 02 01 01 00 " + "00 " * 8 + "03 00 b7 00 " + "00 " * 20
ARMHF = "7f 45 4c 46 01 01 01 00 " + "00 " * 8 + "03 00 28 00 " + "00 " * 16 + "00 04 00 05"


def core_text(number: int, part: str, features: str) -> str:
    return (
        f"processor\t: {number}\nBogoMIPS\t: 48.00\nFeatures\t: fp asimd {features}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {part}\nCPU revision\t: 4\n"
    )


def sections(parts: list[tuple[str, int]], features: str = "", **more: list[str]) -> dict[str, list[str]]:
    """What the probe's script prints on a board with these cores (part, kHz)."""
    info = "\n".join(core_text(number, part, features) for number, (part, _) in enumerate(parts))
    cpus = [f"{n}|1|schedutil|{khz}|{khz}|600000|ondemand performance schedutil" for n, (_, khz) in enumerate(parts)]
    return {
        "uname": ["Linux", "5.10.110", "aarch64"],
        "user": ["1000", "pi"],
        "elf": [ARM64[:48], ARM64[48:]],
        "model": ["FriendlyElec NanoPi M4"],
        "soc": ["friendlyelec,nanopi-m4", "rockchip,rk3399"],
        "cpuinfo": info.split("\n"),
        "cpus": cpus,
        "thermal": ["cpu|45000", "gpu|44", "broken|"],
        "power": ["USB|"],
        "meminfo": ["MemTotal:        3906252 kB", "MemFree:  1 kB", "MemAvailable:    3000000 kB"],
        "load": ["0.08 0.03 0.01 1/180 4242"],
        "disk": ["/home/pi", "/dev/mmcblk0p2 30000000 1000000 2000000 4% /", "writable"],
        "mounts": ["/dev/mmcblk0p2 / ext4 rw,noatime 0 0", "tmpfs /tmp tmpfs rw,noexec 0 0"],
        "libc": ["glibc 2.31"],
        "libraries": [
            "/usr/lib/aarch64-linux-gnu|libstdc++.so.6|libstdc++.so.6.0.28",
            "/usr/lib/arm-linux-gnueabihf|libgomp.so.1|libgomp.so.1.0.0",
        ],
        "date": [str(int(NOW))],
        **more,
    }


RK3399 = [("0xd03", 1416000)] * 4 + [("0xd08", 1800000)] * 2
RPI5 = [("0xd0b", 2400000)] * 4


def rk3399(**more: list[str]) -> Probe:
    return parse_probe(sections(RK3399, "crc32", **more), NOW)


def levels(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.level for finding in findings}


def test_rk3399_as_it_is() -> None:
    truth = rk3399()
    assert (truth.model, truth.abi, truth.kernel) == ("FriendlyElec NanoPi M4", "arm64", "5.10.110")
    assert truth.soc == ("rockchip,rk3399",)
    assert [(item.core, item.count, item.max_mhz) for item in truth.clusters] == [
        ("cortex-a72", 2, 1800),
        ("cortex-a53", 4, 1416),
    ]
    assert truth.temperatures == {"cpu": 45.0, "gpu": 44.0}
    assert (truth.memory_mb, truth.memory_free_mb, truth.disk_free_mb) == (3814, 2929, 1953)
    assert truth.versions == {"GLIBC": "2.31", "GLIBCXX": "3.4.28"}
    assert truth.libraries == ("libstdc++.so.6",), "the library of another architecture does not count"
    assert truth.disk_writable and not truth.disk_noexec and not truth.is_root
    assert json.loads(json.dumps(truth.to_json()))["clusters"][0]["count"] == 2
    assert levels(run_checks(BoardFacts(truth, load_profile("rk3399"), threads=2))) == {"governor": "advice"}


def test_wrong_profile_is_noticed() -> None:
    findings = run_checks(BoardFacts(rk3399(), load_profile("rk3588"), threads=4))
    assert levels(findings)["cores"] == "warning" and levels(findings)["features"] == "warning"
    assert levels(findings)["threads"] == "warning"
    text = " ".join(str(finding) for finding in findings)
    assert "4x cortex-a55 + 4x cortex-a76" in text and "4x cortex-a53 + 2x cortex-a72" in text
    assert "asimddp" in text and "--threads 2" in text


def test_dot_product_that_the_runtime_does_not_use_is_said() -> None:
    features = "crc32 asimdhp asimddp"
    truth = parse_probe(sections(RPI5, features, soc=["raspberrypi,5", "brcm,bcm2712"]), NOW)
    assert truth.features == ("asimd", "asimddp", "asimdhp")
    findings = {finding.name: finding for finding in run_checks(BoardFacts(truth, load_profile("rpi5"), threads=4))}
    assert "brcm,bcm2712" in findings["dot"].message and "--soc-alias" in findings["dot"].hint
    assert "0xd0b" in findings["parts"].message
    info = [*sections(RPI5, features)["cpuinfo"], "Hardware\t: Qualcomm Technologies, Inc SM8150"]
    known = parse_probe(sections(RPI5, features, cpuinfo=info), NOW)
    assert "dot" not in levels(run_checks(BoardFacts(known, load_profile("rpi5"))))
    assert "dot" not in levels(run_checks(BoardFacts(rk3399(), load_profile("rk3399"))))


def test_32_bit_system_on_a_64_bit_kernel() -> None:
    truth = rk3399(elf=ARMHF.split("  "))
    assert truth.abi == "armhf"
    (finding, *_) = run_checks(BoardFacts(truth, load_profile("rk3399")))
    assert finding.level == "error" and "kernel is aarch64" in finding.message and "generic-armhf" in finding.hint


def test_phone() -> None:
    android = [
        "ro.build.version.release=13",
        "ro.build.version.sdk=33",
        "ro.product.manufacturer=Xiaomi",
        "ro.product.model=MI 9",
        "ro.board.platform=msmnile",
        "ro.product.board=cepheus",
        "ro.chipname=SM8150",
    ]
    parts = [("0x805", 1785000)] * 4 + [("0x804", 2420000)] * 3 + [("0x804", 2841000)]
    truth = parse_probe(sections(parts, "asimddp asimdhp", android=android, libc=[], power=["Battery|Charging"]), NOW)
    assert (truth.system, truth.abi, truth.libc, truth.model) == ("android", "android-arm64", "bionic", "Xiaomi MI 9")
    assert truth.battery == "Charging" and truth.android["build.version.sdk"] == "33"
    found = levels(run_checks(BoardFacts(truth, load_profile("android-arm64"), threads=1)))
    assert "dot" not in found and "abi" not in found and "libc" not in found


def test_board_without_sys() -> None:
    truth = rk3399(cpus=["*||||||"])
    assert [(item.core, item.count) for item in truth.clusters] == [("cortex-a72", 2), ("cortex-a53", 4)]


def test_core_that_is_off_or_held_back() -> None:
    cpus = sections(RK3399)["cpus"]
    cpus[0] = "0|0|||||"
    cpus[4] = "4|1|powersave|1800000|1200000|600000|powersave"
    found = {finding.name: finding for finding in run_checks(BoardFacts(rk3399(cpus=cpus), load_profile("rk3399")))}
    assert "Cores 0 are switched off" in found["online"].message
    assert "1200 of 1800 MHz" in found["clock"].message
    assert found["governor"].level == "advice"


@pytest.mark.parametrize(
    ("change", "check", "level", "words"),
    [
        ({"thermal": ["soc|86500"]}, "heat", "warning", "86 °C"),
        ({"load": ["3.20 1 1 1/1 1"]}, "load", "advice", "3.2"),
        ({"meminfo": ["MemTotal: 500000 kB", "MemAvailable: 100000 kB"]}, "memory", "warning", "97 MiB"),
        ({"disk": ["/home/pi", "x 1 1 2000 1% /", "writable"]}, "disk", "warning", "1 MiB free"),
        ({"disk": ["/opt", "x 1 1 9000000 1% /", "read-only"]}, "disk", "error", "cannot write to /opt"),
        ({"disk": ["/tmp", "x 1 1 9000000 1% /tmp", "writable"]}, "disk", "error", "noexec"),
        ({"counted": ["0"]}, "counted", "error", "vector::_M_range_check"),
        ({"libc": ["musl libc (aarch64) Version 1.2.3"]}, "libc", "error", "musl"),
        ({"date": ["0"]}, "date", "advice", "behind"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, list[str]], check: str, level: str, words: str) -> None:
    findings = run_checks(BoardFacts(rk3399(**change), load_profile("rk3399"), threads=2))
    matching = [finding for finding in findings if finding.name == check]
    assert matching and matching[0].level == level and words in str(matching[0])


def test_odd_answers_are_not_known_rather_than_a_crash() -> None:
    """Kernels, vendors and containers leave lines out, write what they like, or more digits than there is memory."""
    truth = rk3399(
        meminfo=["MemTotal: kB", "MemFree:  ² kB", "MemAvailable: " + "9" * 5000 + " kB", "HugePages: 0"],
        load=["nan inf"],
        date=[],
        counted=["٣٤", "²", "1" * 5000],
        thermal=["cpu|" + "9" * 5000, "gpu|²"],
        cpus=["²|1|x|9|9|9|", "0|1|x|²|" + "9" * 5000 + "|-1|"],
        disk=["/home/pi", "/dev/x 1 2 99999999999999999999999 4% /", "writable"],
    )
    assert (truth.memory_mb, truth.load, truth.clock_offset, truth.counted, truth.temperatures) == (0, 0, 0, -1, {})
    assert [(core.index, core.max_mhz, core.limit_mhz) for core in truth.cores] == [(0, 0, 0)]
    assert truth.disk_free_mb == -1
    run_checks(BoardFacts(truth, load_profile("rk3399")))


def test_free_room_of_a_share_with_blanks_in_its_name() -> None:
    line = "//nas/my big share 30000000 1000000 2048000 4% /mnt/my board"
    assert rk3399(disk=["/mnt/my board", line, "writable"]).disk_free_mb == 2000
    assert parse_look([f"df {line}"]).free == 2048000 * 1024


def bundle(**change: object) -> Manifest:
    requires = {"libraries": ["libc.so.6", "libstdc++.so.6", "libgomp.so.1"], "versions": {"GLIBC": "2.34"}}
    made = Manifest("arm64", "1", (), {}, {}, requires, {}, {})
    return dataclasses.replace(made, **change)  # type: ignore[arg-type]


def test_bundle_that_the_board_cannot_run() -> None:
    findings = run_checks(BoardFacts(rk3399(), None, bundle()))
    errors = {finding.name: str(finding) for finding in findings if finding.level == "error"}
    assert "GLIBC_2.34" in errors["versions"] and "GLIBC_2.31" in errors["versions"]
    assert "libgomp.so.1" in errors["libraries"] and "apt install libgomp1" in errors["libraries"]
    for who, change in (
        ("libpaddle.so", {"libraries": {"lib/libpaddle.so": {"versions": {"GLIBC": "2.34"}}}}),
        ("plate_ocr", {"program": {"versions": {"GLIBC": "2.34"}}}),
    ):
        versions = [f for f in run_checks(BoardFacts(rk3399(), None, bundle(**change))) if f.name == "versions"]
        assert versions[0].message.startswith(f"{who} needs GLIBC_2.34")
    findings = run_checks(BoardFacts(rk3399(), None, bundle(abi="armhf", requires={})))
    assert findings[0].name == "abi" and "bundle is armhf" in findings[0].message
    assert not [f for f in run_checks(BoardFacts(rk3399(), None, bundle(requires={}))) if f.level == "error"]


def test_every_check_says_whether_it_applies() -> None:
    nothing_known = BoardFacts(parse_probe({"uname": ["Linux"], "date": ["0"], "disk": ["/", "", "writable"]}, 0.0))
    assert [check(nothing_known) for check in CHECKS] == [[]] * len(CHECKS)


def test_this_host(own_cache: Path) -> None:
    device = find_device("local")
    transport = connect(device)
    truth, findings = examine(transport, device, device.root)
    assert truth.cores and truth.memory_mb > 0 and truth.abi and truth.libc.startswith("glibc")
    assert abs(truth.clock_offset) < 5
    assert not [finding for finding in findings if finding.level == "error"]
    assert Path(truth.disk_path).is_dir()


def test_check_before_a_push_refuses_with_every_reason(own_cache: Path) -> None:
    transport = connect(find_device("local"))
    abi = probe(transport, "/").abi
    fine = bundle(abi=abi, requires={"libraries": ["libc.so.6"], "versions": {"GLIBC": "2.17"}})
    check_board(transport, fine)
    broken = bundle(abi="armel", requires={"libraries": ["libnope.so.3"], "versions": {"GLIBC": "9.99"}})
    with pytest.raises(DeviceError) as refusal:
        check_board(transport, broken)
    for word in ("armel", "libnope.so.3", "GLIBC_9.99"):
        assert word in refusal.value.message
    assert refusal.value.hint


def test_command_prints_one_document(own_cache: Path) -> None:
    answer = CliRunner().invoke(probe_command, ["--device", "local", "--json"])
    assert answer.exit_code == 0, answer.output
    document = json.loads(answer.output)
    assert document["device"] == "local" and document["probe"]["schema"] == "plate-edge/probe/1"
    assert "cores" in CliRunner().invoke(probe_command, ["--device", "local"]).output
