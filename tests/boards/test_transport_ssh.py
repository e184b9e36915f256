"""ssh to a real OpenSSH server: trust, ways in, and what its errors say."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko
import pytest
from calls import count_calls
from click.testing import CliRunner
from cutproxy import CutProxy
from sshd_server import SshServer

from edge.base.errors import DeviceError, EdgeError, InputError, LinkError
from edge.commands.device import device as device_command
from edge.device.board import Device, find_device
from edge.protocol.base import AccessError
from edge.transport.connect import connect
from edge.transport.host_keys import HostKeyError, forget, own_known_hosts, remember
from edge.transport.ssh import refusal_of


def run_in(device: Device, *argv: str) -> str:
    transport = connect(device)
    try:
        return transport.run_check(argv or ("id", "-un")).stdout.strip()
    finally:
        transport.close()


def needs_own_users(server: SshServer) -> None:
    if not server.own_users:
        pytest.skip("only root can give the server users of its own")


def test_connection_is_kept(ssh_board: SshServer) -> None:
    transport = connect(ssh_board.device())
    proxy = CutProxy(ssh_board.port)
    ssh_board_behind = dataclasses.replace(ssh_board.device(), port=proxy.port)
    trust(ssh_board, ssh_board_behind)
    transport = connect(ssh_board_behind)
    for _ in range(5):
        transport.run_check(["true"])
    assert proxy.connections == 1
    transport.close()
    proxy.close()


def test_connection_that_broke_is_opened_again(ssh_board: SshServer) -> None:
    proxy = CutProxy(ssh_board.port)
    device = dataclasses.replace(ssh_board.device(), port=proxy.port)
    trust(ssh_board, device)
    transport = connect(device)
    transport.run_check(["true"])
    proxy.cut()
    transport.run_check(["true"])
    assert proxy.connections == 2
    transport.close()
    proxy.close()


def trust(server: SshServer, *devices: Device) -> None:
    known = Path(os.environ["XDG_CONFIG_HOME"]) / "plate-edge" / "known_hosts"
    with known.open("a") as stream:
        for device in devices:
            stream.write(f"[{device.host}]:{device.port} {server.host_key}\n")


def known_hosts() -> Path:
    return Path(os.environ["XDG_CONFIG_HOME"]) / "plate-edge" / "known_hosts"


def test_unknown_host_is_refused_with_fingerprint_and_next_step(ssh_board: SshServer) -> None:
    known_hosts().unlink()
    with pytest.raises(HostKeyError) as refusal:
        run_in(ssh_board.device("front gate"))
    assert ssh_board.fingerprint in refusal.value.message
    assert f"edge device trust front gate --fingerprint {ssh_board.fingerprint}" in refusal.value.hint
    assert not known_hosts().exists(), "a key was stored without being asked"


def test_key_known_to_the_user_is_known_to_us(ssh_board: SshServer) -> None:
    known_hosts().unlink()
    folder = Path.home() / ".ssh"
    folder.mkdir()
    line = f"[127.0.0.1]:{ssh_board.port} {ssh_board.host_key}\n"
    (folder / "known_hosts").write_text("damaged line\n@revoked * x y\n\n" + line)
    assert run_in(ssh_board.device())
    (folder / "known_hosts").write_text(line)
    # Hashed names, as Debian's ssh writes them.
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(folder / "known_hosts")], check=True, capture_output=True)
    assert "127.0.0.1" not in (folder / "known_hosts").read_text()
    assert run_in(ssh_board.device())


def test_a_revoked_key_is_refused_whoever_trusts_it(ssh_board: SshServer) -> None:
    """As ssh does: the kit's own file and the user's trust it, and one line withdraws it."""
    folder = Path.home() / ".ssh"
    folder.mkdir(exist_ok=True)
    assert run_in(ssh_board.device("gate"))
    (folder / "known_hosts").write_text(f"@revoked * {ssh_board.host_key} stolen\n")
    device = ssh_board.device("gate")
    for attempt in (lambda: run_in(device), lambda: refusal_of(device)):
        with pytest.raises(LinkError, match="marks as @revoked") as failure:
            attempt()
        assert ssh_board.fingerprint in failure.value.message and not failure.value.transient


def test_trusting_takes_the_right_fingerprint_only(ssh_board: SshServer, tmp_path: Path) -> None:
    known_hosts().unlink()
    inventory = tmp_path / "devices.yml"
    inventory.write_text("schema: plate-edge/devices/1\ndevices:\n" + ssh_board.entry("gate"))

    def trust_with(*options: str) -> object:
        command = ["trust", "gate", "--inventory", str(inventory), *options]
        return CliRunner().invoke(device_command, command).exception

    unasked = trust_with()
    assert isinstance(unasked, EdgeError) and ssh_board.fingerprint in unasked.hint
    wrong = trust_with("--fingerprint", "SHA256:" + "A" * 43)
    assert isinstance(wrong, EdgeError) and wrong.exit_code == 9
    assert not (tmp_path / "known_hosts").exists()
    answer = CliRunner().invoke(
        device_command, ["trust", "gate", "--inventory", str(inventory), "--fingerprint", ssh_board.fingerprint, "--json"]
    )
    (taken,) = json.loads(answer.stdout)["trusted"]
    assert taken["fingerprint"] == ssh_board.fingerprint and Path(taken["file"]) == tmp_path / "known_hosts"
    assert run_in(find_device("gate", inventory))


def test_changed_host_key_is_refused_until_it_is_trusted(ssh_board: SshServer, tmp_path: Path) -> None:
    before = ssh_board.fingerprint
    saved = {name: (ssh_board.folder / name).read_bytes() for name in ("host", "host.pub")}
    inventory = tmp_path / "devices.yml"
    inventory.write_text("schema: plate-edge/devices/1\ndevices:\n" + ssh_board.entry("gate"))
    ssh_board.stop()
    try:
        ssh_board.new_host_key()
        ssh_board.start()
        with pytest.raises(HostKeyError) as refusal:
            run_in(ssh_board.device("gate"))
        assert before in refusal.value.message and ssh_board.fingerprint in refusal.value.message
        assert not refusal.value.transient
        step = re.search(r"edge device (trust .*)$", refusal.value.hint)
        assert step
        answer = CliRunner().invoke(device_command, [*step[1].split(), "--inventory", str(inventory)])
        assert answer.exit_code == 0, answer.output
        assert run_in(find_device("gate", inventory))
        assert (tmp_path / "known_hosts").read_text() == f"[127.0.0.1]:{ssh_board.port} {ssh_board.host_key}\n"
    finally:
        ssh_board.stop()
        for name, content in saved.items():
            (ssh_board.folder / name).write_bytes(content)
        ssh_board.start()


def test_ways_that_do_not_lead_there_say_why(ssh_board: SshServer, tmp_path: Path) -> None:
    device = ssh_board.device("gate")
    for change, kind, words in (
        ({"port": 1}, LinkError, "refuses the connection"),
        ({"host": "no-such-host.invalid"}, LinkError, "does not resolve"),
        ({"user": "nobody-here"}, AccessError, "ssh-copy-id"),
        ({"key": str(tmp_path / "missing")}, InputError, "does not exist"),
    ):
        with pytest.raises(kind) as failure:
            run_in(dataclasses.replace(device, **change))  # type: ignore[arg-type]
        assert words in str(failure.value)
    with pytest.raises(LinkError, match="gate"):
        run_in(dataclasses.replace(device, host="localhost", port=ssh_board.port, jump=f"x@127.0.0.1:{1}"))


def test_alias_of_ssh_config_with_its_user_port_and_key(ssh_board: SshServer) -> None:
    folder = Path.home() / ".ssh"
    folder.mkdir()
    (folder / "config").write_text(
        f"Host gate\n  HostName 127.0.0.1\n  Port {ssh_board.port}\n  User {ssh_board.user}\n"
        f"  IdentityFile {folder}/missing\n  IdentityFile {ssh_board.key}\n"
    )
    alias = dataclasses.replace(ssh_board.device(), host="gate", port=0, user="", key="")
    assert run_in(alias) == run_in(ssh_board.device())


def test_key_in_the_agent(ssh_board: SshServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.write_bytes(ssh_board.key.read_bytes())
    locked.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(locked)], check=True, capture_output=True)
    with pytest.raises(AccessError, match="ssh-add"):
        run_in(dataclasses.replace(ssh_board.device(), key=str(locked)))
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(tmp_path / "agent")], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        # 2: no agent answers yet; 1: it has no key.
        deadline = time.monotonic() + 600
        while subprocess.run(["ssh-add", "-l"], capture_output=True, check=False).returncode == 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        subprocess.run(["ssh-add", str(ssh_board.key)], check=True, capture_output=True)
        assert run_in(dataclasses.replace(ssh_board.device(), key=""))
    finally:
        agent.terminate()
        agent.wait()


def test_two_jump_hosts_each_with_a_known_key(ssh_board: SshServer) -> None:
    first, second = CutProxy(ssh_board.port), CutProxy(ssh_board.port)
    hops = [dataclasses.replace(ssh_board.device(), port=proxy.port) for proxy in (first, second)]
    trust(ssh_board, hops[0])
    jump = ",".join(f"{hop.user}@127.0.0.1:{hop.port}" for hop in hops)
    device = dataclasses.replace(ssh_board.device("gate"), jump=jump)
    with pytest.raises(HostKeyError, match=f"{second.port}"):
        run_in(device)
    trust(ssh_board, hops[1])
    assert run_in(device) == run_in(ssh_board.device())
    assert first.connections == 2 and second.connections == 2
    # The same from ~/.ssh/config.
    folder = Path.home() / ".ssh"
    folder.mkdir()
    (folder / "config").write_text(
        f"Host 127.0.0.1\n  IdentityFile {ssh_board.key}\nHost gate\n  HostName 127.0.0.1\n  ProxyJump {jump}\n"
    )
    assert run_in(dataclasses.replace(ssh_board.device("gate"), host="gate"))
    assert first.connections == 3 and second.connections == 3
    first.close()
    second.close()


def test_greeting_of_the_login_shell_is_not_output(ssh_board: SshServer, tmp_path: Path) -> None:
    needs_own_users(ssh_board)
    transport = connect(ssh_board.device(user="noisy"))
    result = transport.run_check(["sh", "-c", "echo out; echo err >&2"])
    assert (result.stdout, result.stderr) == ("out\n", "err\n")
    (tmp_path / "file").write_bytes(b"content")
    transport.put(tmp_path / "file", f"{ssh_board.home}/noisy-file")
    transport.get(f"{ssh_board.home}/noisy-file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"content"
    transport.close()


def test_account_without_a_shell_is_said(ssh_board: SshServer) -> None:
    needs_own_users(ssh_board)
    with pytest.raises(DeviceError, match="not available"):
        run_in(ssh_board.device(user="locked"))


def test_folder_of_somebody_else_is_refused_with_a_hint(ssh_board: SshServer, tmp_path: Path) -> None:
    needs_own_users(ssh_board)
    (tmp_path / "file").write_bytes(b"content")
    transport = connect(ssh_board.device(user="plain"))
    with pytest.raises(DeviceError, match="does not allow it") as failure:
        transport.put(tmp_path / "file", "/etc/plate-edge/file")
    assert "root" in failure.value.hint
    transport.close()


def test_program_ends_when_the_kit_is_killed(ssh_board: SshServer) -> None:
    pid_file = ssh_board.home / "orphan.pid"
    pid_file.unlink(missing_ok=True)
    script = (
        "import dataclasses, sys\nfrom edge.device.board import Device, load_profile\n"
        "from edge.transport.connect import connect\n"
        f"device = Device('x', load_profile('local'), 'ssh', '127.0.0.1', {ssh_board.port}, "
        f"{ssh_board.user!r}, {str(ssh_board.key)!r})\n"
        f"connect(device).run(['sh', '-c', 'echo $$ >{pid_file}; exec sleep 300'])\n"
    )
    kit = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 600
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    there = Path("/proc", pid_file.read_text().strip())
    assert there.exists()
    kit.send_signal(signal.SIGKILL)
    kit.wait()
    deadline = time.monotonic() + 600
    while there.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not there.exists(), "the program outlived the kit"


def test_boards_that_are_trusted_at_once_are_all_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    key = paramiko.ECDSAKey.generate()
    names = [f"board-{number}" for number in range(24)]
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda name: remember(name, 22, key), names))
    told = [line.split()[0] for line in own_known_hosts().read_text().splitlines()]
    assert sorted(told) == sorted(names)
    forget(names[3], 22)
    remember(names[4], 22, key)
    assert len(own_known_hosts().read_text().splitlines()) == 23


def by_scp(server: SshServer, port: int, source: Path, folder: Path) -> None:
    known = folder / "known"
    known.write_text(f"[127.0.0.1]:{port} {server.host_key}\n")
    options = ["-q", "-P", str(port), "-i", str(server.key), "-o", f"UserKnownHostsFile={known}"]
    target = f"{server.user}@127.0.0.1:{server.home}/by-scp"
    subprocess.run(["scp", *options, "-o", "IdentitiesOnly=yes", str(source), target], check=True)


def test_push_sends_what_scp_sends_and_waits_no_more_often(ssh_board: SshServer, tmp_path: Path) -> None:
    """In bytes both ways, what the board says of its copy included; `make bench-self` has the times of both."""
    source = tmp_path / "big"
    source.write_bytes(os.urandom(8 << 20))
    proxies = [CutProxy(ssh_board.port) for _ in range(2)]
    by_scp(ssh_board, proxies[0].port, source, tmp_path)
    device = dataclasses.replace(ssh_board.device(), port=proxies[1].port)
    trust(ssh_board, device)
    transport = connect(device)
    calls = count_calls(lambda: transport.put(source, f"{ssh_board.home}/by-us"))
    transport.close()
    scp, ours = proxies
    print(f"scp {scp.up} up, {scp.down} down; ours {ours.up} up, {ours.down} down; {calls} calls")
    assert ours.up <= 1.01 * scp.up and ours.down <= scp.down + 8192
    # A packet has 32 kB; what is read, encrypted and sent for each is some hundred calls.
    assert calls <= 400 * (8 << 20) / 32768
    for proxy in proxies:
        proxy.close()


@pytest.mark.timed
def test_push_is_as_fast_as_scp(ssh_board: SshServer, tmp_path: Path) -> None:
    """At least 0.8 times scp's rate on the same file, server and run, although the board's checksum is in it.

    The fastest of four to twelve each, in turn, both with their connecting.
    """
    source = tmp_path / "big"
    scp, ours = [], []
    for turn in range(12):
        if turn >= 4 and min(scp) / min(ours) >= 0.8:
            break
        source.write_bytes(os.urandom(48 << 20))
        started = time.monotonic()
        by_scp(ssh_board, ssh_board.port, source, tmp_path)
        scp.append(time.monotonic() - started)
        started = time.monotonic()
        transport = connect(ssh_board.device())
        assert transport.put(source, f"{ssh_board.home}/by-us") is True
        ours.append(time.monotonic() - started)
        transport.close()
    (ssh_board.home / "by-us").unlink()
    rate = min(scp) / min(ours)
    print(f"push over ssh: {48.0 * 1.048576 / min(ours):.0f} MB/s, {rate:.2f} times scp")
    assert rate >= 0.8, f"seconds by scp {scp}, by us {ours}"
