"""Conditions: read by a real shell, understood from every kind of board, recorded with a reason where missing."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from fake_board import fake_plan, fake_target, run

from bench.conditions.environment import facts, parse, read_board, snapshot
from bench.judge.summary import summarise_result
from bench.measure.session import Session
from edge.transport.local import LocalTransport


def test_conditions_are_recorded_and_what_is_missing_has_a_reason(tmp_path: Path) -> None:
    found, now = read_board(LocalTransport())
    assert found["kernel"] and found["cores"] == os.cpu_count() and found["memory_kb"] > 0
    assert now.load is not None
    for key, value in vars(now).items():
        if value is None:
            assert now.missing[key], f"{key} is missing without a reason"
    result = Session(
        fake_target(tmp_path, {"FAKE_SLEEP": "0.05"}), fake_plan(processes=1, repeats=20, precisions=("fp32",)),
        tmp_path / "out", sample_seconds=0.3,
    ).run()  # fmt: skip
    assert result.processes[0].before is not None and result.processes[0].after is not None
    assert len(result.samples) >= 2 and result.samples[0]["process"] == 0


BOARD = """
/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq\t1416000
/sys/devices/system/cpu/cpu4/cpufreq/scaling_cur_freq\t1800000
/sys/devices/system/cpu/cpu4/cpufreq/scaling_governor\tperformance
/sys/devices/system/cpu/cpu4/cpufreq/cpuinfo_max_freq\t1800000
/sys/class/thermal/thermal_zone0/temp\t61111
/sys/class/thermal/thermal_zone0/type\tcpu
/sys/class/thermal/thermal_zone1/temp\t-274000
/sys/class/thermal/cooling_device0/cur_state\t2
/sys/class/thermal/cooling_device0/type\tthermal-cpufreq-0
/sys/class/hwmon/hwmon1/name\tina3221
/sys/class/hwmon/hwmon1/power1_label\tVDD_IN
/sys/class/hwmon/hwmon1/power1_input\t5200000
/sys/class/hwmon/hwmon2/name	ina3221
/sys/class/hwmon/hwmon2/in1_label	VDD_CPU
/sys/class/hwmon/hwmon2/in1_input	5000
/sys/class/hwmon/hwmon2/curr1_input	420
/sys/class/hwmon/hwmon2/in2_input	5000
/sys/class/power_supply/battery/type\tBattery
/sys/class/power_supply/battery/current_now\t-500000
/sys/class/power_supply/battery/voltage_now\t4000000
/sys/class/power_supply/battery/capacity\t83
/sys/class/power_supply/battery/status\tDischarging
/sys/devices/platform/soc/soc:firmware/get_throttled\t50005
/proc/loadavg\t0.42 0.30 0.20 1/99 1234
/proc/device-tree/model\tRockchip RK3399 Board\0
/proc/cpuinfo\tFeatures\t: fp asimd evtstrm asimddp
/proc/cpuinfo\tCPU part\t: 0xd03
/proc/cpuinfo\tCPU part\t: 0xd08
/proc/cpuinfo\tCPU part\t: 0xd08
not a line
"""


def test_board_of_every_sensor_is_understood() -> None:
    values = parse(BOARD)
    now = snapshot(values)
    assert now.frequencies == {"0": 1416000, "4": 1800000}
    assert now.temperatures == {"thermal_zone0 cpu": 61.111}, "a zone at -274 degrees is switched off"
    assert now.cooling == {"cooling_device0 thermal-cpufreq-0": 2}
    assert now.power_w == {"ina3221 VDD_IN": 5.2, "ina3221 VDD_CPU": 2.1, "battery": 2.0}
    assert now.power_source == "battery 83 % discharging"
    assert now.throttled == {"raspberry": 5}
    known = facts(values)
    assert known["model"] == "Rockchip RK3399 Board"
    assert known["cpu_parts"] == {"0xd03": 1, "0xd08": 2} and "asimddp" in known["features"]


def test_script_reads_odd_files_on_a_real_shell(tmp_path: Path) -> None:
    from bench.conditions.environment import script

    (tmp_path / "a b").write_text("with a space\n")
    (tmp_path / "no end").write_text("no newline")
    (tmp_path / "empty").write_text("")
    (tmp_path / "evil").write_text("$(touch pwned) `id` 100%s\n")
    pattern = str(tmp_path).replace(" ", "?") + "/*"
    text = LocalTransport().run(["sh", "-c", script([pattern, "/does/not/exist*"])]).stdout
    values = {Path(path).name: lines for path, lines in parse(text).items()}
    assert values == {"a b": ["with a space"], "no end": ["no newline"], "evil": ["$(touch pwned) `id` 100%s"]}


def test_sensor_that_says_nan_is_no_sensor() -> None:
    names = ("cpufreq/scaling_cur_freq", "cpufreq/cpuinfo_max_freq")
    lines = [f"/sys/devices/system/cpu/cpu0/{name}\t{value}" for name in names for value in ("nan", "inf")]
    lines += ["/proc/loadavg\tnan 0 0", "/sys/class/hwmon/hwmon0/power1_input\tinf", "nproc\t1e999"]
    lines += ["/sys/class/thermal/thermal_zone0/temp\tnan", "/proc/meminfo\tMemTotal: inf kB"]
    values = parse("\n".join(lines))
    now = snapshot(values)
    assert (now.frequencies, now.load, now.power_w, now.temperatures) == (None, None, None, None)
    known = facts(values)
    assert (known["cores"], known["memory_kb"], known["max_khz"]) == (None, None, None)


def test_chip_of_a_device_tree_is_its_last_name(tmp_path: Path) -> None:
    from bench.conditions.environment import script

    tree = tmp_path / "compatible"
    tree.write_bytes(b"vendor,board-4\0rockchip,rk3399\0")
    text = script([], whole=True).replace("/proc/device-tree/compatible", str(tree))
    said = LocalTransport().run(["sh", "-c", text]).stdout.replace(str(tree), "/proc/device-tree/compatible")
    assert facts(parse(said))["soc"] == "rockchip,rk3399"


def test_energy_of_a_photo_is_told_with_and_without_idling(tmp_path: Path) -> None:
    result = run(tmp_path, processes=2, precisions=("fp32",))
    without = summarise_result(result).cells[0]
    assert without.millijoules is None and without.millijoules_above_idle is None
    idle = {"power_w": {"VDD_IN": 2.0, "VDD_CPU": 1.0}}
    processes = tuple(replace(process, before={**(process.before or {}), **idle}) for process in result.processes)
    looks = tuple({"t": 0.1 * i, "process": i % 2, "power_w": {"VDD_IN": 5.0, "VDD_CPU": 3.0}} for i in range(6))
    cell = summarise_result(replace(result, processes=processes, samples=looks)).cells[0]
    assert cell.total is not None and cell.millijoules == pytest.approx(5.0 * cell.total.mean)
    assert cell.millijoules_above_idle == pytest.approx(3.0 * cell.total.mean)
