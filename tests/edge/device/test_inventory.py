"""devices.yml: changed without losing what a person wrote, refused with the line where it is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.base.errors import EdgeError, InputError, UsageError
from edge.commands.device import device
from edge.device.board import load_inventory
from edge.device.inventory import add_device, remove_device

BY_HAND = """# The lab, as of today.
schema: plate-edge/devices/1   # do not change

devices:
  # the fast one
  gate:  # at the gate
    board: rk3588
    ssh: pi@10.0.0.7   # static lease
    groups: [lab, outside]

  phone:
    board: android-arm64
    adb: 0123456789
# the end
"""


@pytest.fixture
def inventory(tmp_path: Path, own_cache: Path) -> Path:
    path = tmp_path / "devices.yml"
    path.write_text(BY_HAND)
    return path


def test_reads_what_a_person_wrote(inventory: Path) -> None:
    devices = load_inventory(inventory)
    assert list(devices) == ["gate", "phone"]
    gate = devices["gate"]
    assert (gate.user, gate.host, gate.port, gate.groups) == ("pi", "10.0.0.7", 0, ("lab", "outside"))
    assert gate.where == f"{inventory}:6"
    assert devices["phone"].serial == "0123456789", "a serial number is no number"
    assert devices["phone"].root == "/data/local/tmp/plate-edge"


def test_adding_and_removing_keeps_everything_else(inventory: Path) -> None:
    added = add_device("new", {"board": "rpi4", "ssh": "10.0.0.9:2222", "groups": ["lab"]}, inventory=inventory)
    assert added.port == 2222 and added.where.startswith(str(inventory))
    text = inventory.read_text()
    assert [line for line in BY_HAND.splitlines() if line not in text.splitlines()] == []
    assert list(load_inventory(inventory)) == ["gate", "phone", "new"]
    remove_device("new", inventory=inventory)
    assert inventory.read_text() == BY_HAND
    remove_device("gate", inventory=inventory)
    assert list(load_inventory(inventory)) == ["phone"]
    assert "# the end" in inventory.read_text() and "# the fast one" in inventory.read_text()
    remove_device("phone", inventory=inventory)
    assert load_inventory(inventory) == {}
    add_device("again", {"board": "rpi4", "ssh": "h"}, inventory=inventory)
    assert list(load_inventory(inventory)) == ["again"]


def test_first_device_makes_the_file(tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / "new" / "devices.yml"
    add_device("gate", {"board": "rk3399", "ssh": "pi@h", "root": "/data/kit", "key": "~/.ssh/a b"}, inventory=path)
    device_ = load_inventory(path)["gate"]
    assert (device_.root, device_.key) == ("/data/kit", "~/.ssh/a b")


def test_existing_device_is_replaced_only_by_force(inventory: Path) -> None:
    with pytest.raises(UsageError, match=f"{inventory}:6 already has a device 'gate'"):
        add_device("gate", {"board": "rpi4", "ssh": "h"}, inventory=inventory)
    assert inventory.read_text() == BY_HAND
    add_device("gate", {"board": "rpi4", "ssh": "h"}, inventory=inventory, replace=True)
    assert load_inventory(inventory)["gate"].board.name == "rpi4"


@pytest.mark.parametrize(
    "text",
    [
        "schema: plate-edge/devices/1\ndevices: {}\n",
        "schema: plate-edge/devices/1\ndevices:\n",
        "schema: plate-edge/devices/1\ndevices: ~  # none yet",
        "schema: plate-edge/devices/1",
        "schema: plate-edge/devices/1\ndevices:\n    deep:\n      board: rpi4\n      ssh: h\n",
        "",
    ],
)
def test_adds_to_any_sound_file(tmp_path: Path, own_cache: Path, text: str) -> None:
    path = tmp_path / "devices.yml"
    path.write_text(text)
    add_device("gate", {"board": "rk3399", "ssh": "h", "groups": ["a", "b"]}, inventory=path)
    assert load_inventory(path)["gate"].groups == ("a", "b")


def test_file_that_cannot_be_changed_safely_is_left_alone(tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / "devices.yml"
    path.write_text("{schema: plate-edge/devices/1, devices: {gate: {board: rpi4, ssh: h}}}\n")
    add_device("new", {"board": "rpi4", "ssh": "h"}, inventory=path)
    text = path.read_text()
    with pytest.raises(InputError, match="cannot change safely"):
        remove_device("new", inventory=path)
    assert path.read_text() == text and list(load_inventory(path)) == ["gate", "new"]


def test_indentation_and_texts_that_look_like_numbers_stay(tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / "devices.yml"
    text = BY_HAND.replace("[lab, outside]", "\n      - lab\n      # of them\n      - 1_000").replace("groups: ", "groups:")
    path.write_text(text)
    entry = {"board": "android-arm64", "adb": "0012", "groups": ["null", "粤"]}
    assert add_device("123", entry, inventory=path).serial == "0012"
    assert path.read_text().startswith(text) and '  "123":' in path.read_text()
    remove_device("123", inventory=path)
    assert path.read_text() == text


@pytest.mark.parametrize("name", ["3588", "0123", "1.5", "true", "null", "0x10", "2020-01-01", "'7'"])
def test_names_that_yaml_takes_for_other_things(inventory: Path, name: str) -> None:
    entry = "    board: rpi4\n    ssh: h\n"
    inventory.write_text(f"{BY_HAND.strip()}\n  {name}:\n{entry}  16:\n{entry}")
    text, name = inventory.read_text(), name.strip("'")
    add_device(name, {"board": "rpi5", "ssh": "h"}, inventory=inventory, replace=True)
    assert load_inventory(inventory)[name].board.name == "rpi5"
    inventory.write_text(text)
    remove_device(name, inventory=inventory)
    assert list(load_inventory(inventory)) == ["gate", "phone", "16"]


def test_a_group_that_looks_like_a_date_stays(inventory: Path) -> None:
    inventory.write_text(BY_HAND.replace("[lab, outside]", "[2020-99-99]"))
    add_device("new", {"board": "rpi4", "ssh": "h"}, inventory=inventory)
    remove_device("phone", inventory=inventory)
    devices = load_inventory(inventory)
    assert list(devices) == ["gate", "new"] and devices["gate"].groups == ("2020-99-99",)


def test_a_value_that_cannot_be_written_again_is_said(inventory: Path) -> None:
    text = BY_HAND.replace("[lab, outside]", "[!!int x]")
    inventory.write_text(text)
    with pytest.raises(InputError, match="cannot change safely"):
        add_device("new", {"board": "rpi4", "ssh": "h"}, inventory=inventory)
    assert inventory.read_text() == text
    # Of the other entries nothing is read to take one out.
    remove_device("gate", inventory=inventory)
    assert list(load_inventory(inventory)) == ["phone"]


def test_an_entry_that_others_refer_to_stays(inventory: Path) -> None:
    text = BY_HAND.replace("[lab, outside]", "&all [lab]").replace("# the end", "    groups: *all")
    inventory.write_text(text)
    with pytest.raises(InputError, match="cannot change safely"):
        remove_device("gate", inventory=inventory)
    assert inventory.read_text() == text


def test_link_to_the_file_stays_a_link(inventory: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yml"
    link.symlink_to(inventory)
    add_device("new", {"board": "rpi4", "ssh": "h"}, inventory=link)
    assert link.is_symlink() and "new" in load_inventory(inventory)


def test_many_at_once_are_all_kept(inventory: Path) -> None:
    def add(number: int) -> None:
        add_device(f"d{number}", {"board": "rpi4", "ssh": f"h{number}"}, inventory=inventory)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load_inventory(inventory)) == 14


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("board: rk3588", "board: rk3586", 7, "Did you mean 'rk3588'"),
        ("ssh: pi@10.0.0.7", "ssh: pi@10.0.0.7 22", 8, "not an ssh address"),
        ("    ssh: pi@10.0.0.7   # static lease\n", "", 7, "no address"),
        ("adb: 0123456789", "adb: 0123456789\n    ssh: h", 13, "both 'ssh' and 'adb'"),
        ("adb: 0123456789", "adb: $(id)", 13, "not a serial number"),
        ("adb: 0123456789", "adb: 1\n    key: x", 14, "belongs to ssh"),
        ("groups: [lab, outside]", "jump: a@b, c d", 9, "not an ssh address"),
        ("groups: [lab, outside]", "groups: lab", 9, "must be a list"),
        ("groups: [lab, outside]", "group: [lab]", 9, "Did you mean 'groups'"),
        ("  phone:", "  gate:", 11, "given twice (first on line 6)"),
        ("  phone:", "  my phone:", 11, "cannot be a device"),
        ("  phone:", "  a,b:", 11, "cannot be a device"),
        ("devices/1", "devices/2", 2, "is not known"),
        ("adb: 0123456789", "adb: 1\n    root: relative", 14, "not an absolute folder"),
        ("adb: 0123456789", "adb: [1", 13, "malformed YAML"),
    ],
)
def test_mistake_is_shown_at_its_line(inventory: Path, old: str, new: str, line: int, words: str) -> None:
    assert old in BY_HAND
    inventory.write_text(BY_HAND.replace(old, new))
    with pytest.raises(InputError) as refusal:
        load_inventory(inventory)
    assert refusal.value.message.startswith(f"{inventory}:{line}: "), refusal.value.message
    assert words in refusal.value.message


def test_a_file_that_is_nested_without_end_is_refused(inventory: Path) -> None:
    inventory.write_text("devices: " + "[" * 20_000)
    with pytest.raises(InputError, match="nested too deeply"):
        load_inventory(inventory)


def test_not_text_is_said_with_its_line(inventory: Path) -> None:
    inventory.write_bytes(BY_HAND.encode() + b"# \xff\n")
    with pytest.raises(InputError, match=f"{inventory} is not UTF-8: line 15"):
        load_inventory(inventory)
    with pytest.raises(InputError, match=f"{inventory} is not UTF-8: line 15"):
        add_device("pi", {"board": "rpi4", "ssh": "pi@pi"}, inventory=inventory)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a,b", "../x", "a/b", "$(id)", "a\nb", "'", "x" * 65, "a."])
def test_names_that_could_be_mistaken_are_refused(inventory: Path, name: str) -> None:
    with pytest.raises(InputError):
        add_device(name, {"board": "rpi4", "ssh": "h"}, inventory=inventory)
    assert inventory.read_text() == BY_HAND


def test_names_in_any_script_are_fine(inventory: Path) -> None:
    add_device("粤闸口_1", {"board": "rpi4", "ssh": "h"}, inventory=inventory)
    assert "粤闸口_1" in load_inventory(inventory)


def run(*arguments: str) -> tuple[int, str, BaseException | None]:
    answer = CliRunner().invoke(device, list(arguments))
    return answer.exit_code, answer.output, answer.exception


def test_commands(inventory: Path) -> None:
    at = ("--inventory", str(inventory))
    code, output, _ = run("add", "rk3399", "--ssh", "pi@h:22", "--group", "lab", *at)
    assert code == 0 and "edge probe --device rk3399" in output
    _, output, _ = run("list", "--json", *at)
    assert [item["name"] for item in json.loads(output)] == ["gate", "phone", "rk3399", "local"]
    _, output, _ = run("show", "gate", *at)
    assert "4x cortex-a76" in output and "dot product" in output
    _, output, _ = run("show", "rpi5", "--json", *at)
    assert json.loads(output)["soc"] == "Broadcom BCM2712"
    _, output, _ = run("remove", "rk3399", "--json", *at)
    assert json.loads(output)["removed"]["groups"] == ["lab"]
    _, output, _ = run("add", "new", "--board", "rpi4", "--ssh", "h", "--group", "a,b", "--json", *at)
    assert (json.loads(output)["name"], json.loads(output)["groups"]) == ("new", ["a", "b"])
    assert run("remove", "new", *at)[0] == 0
    error = run("remove", "rk3399", *at)[2]
    assert isinstance(error, EdgeError) and error.exit_code == 2
    error = run("add", "mine", "--ssh", "h", *at)[2]
    assert isinstance(error, UsageError) and "rk3399" in error.hint
    error = run("add", "mine", "--board", "rk339", "--ssh", "h", *at)[2]
    assert isinstance(error, UsageError) and "board profile 'rk339'. Did you mean 'rk3399'?" in error.message
    error = run("add", "mine", "--board", "rpi4", "--ssh", "h:x", *at)[2]
    assert isinstance(error, InputError) and error.message == "'h:x' is not an ssh address."


def test_command_line_ends_with_a_sentence_and_its_code(inventory: Path) -> None:
    inventory.write_text(BY_HAND.replace("board: rk3588", "board: nope"))
    command = [sys.executable, "-m", "edge", "device", "list", "--inventory", str(inventory)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 3 and answer.stdout == ""
    assert answer.stderr.startswith(f"error: {inventory}:7: ") and "Traceback" not in answer.stderr
