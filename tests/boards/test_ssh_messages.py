"""What answers at a board's address, and is no board that can be used: named as what it is."""

from __future__ import annotations

import dataclasses
import http.server
import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from sshd_server import SshServer

from edge.base.errors import DeviceError, InputError
from edge.commands.device import device as device_command
from edge.protocol.base import AccessError
from edge.protocol.capture import decode_message
from edge.transport.connect import connect


@pytest.mark.parametrize("over", ["run", "put"])
def test_login_menu_is_named_and_not_waited_for(
    over: str, ssh_board: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not ssh_board.own_users:
        pytest.skip("only root can give a user another shell")
    monkeypatch.setattr("edge.transport.ssh.PROMPT_AFTER", 0.2)
    transport = connect(ssh_board.device(user="menu"))
    (tmp_path / "file").write_text("content")
    with pytest.raises(DeviceError, match=r"waits for an answer .* '1\) shell  2\) reboot'") as failure:
        if over == "run":
            transport.run(["true"], timeout=600)
        else:
            transport.put(tmp_path / "file", str(ssh_board.home / "menu-file"))
    assert "chsh" in failure.value.hint
    transport.close()


class Web(http.server.BaseHTTPRequestHandler):
    """A web server that says nothing on the terminal."""

    def log_message(self, *words: object) -> None:
        pass


def test_web_server_at_the_port(ssh_board: SshServer) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(AccessError, match=r"is a web server, not an ssh server") as failure:
            connect(ssh_board.device(port=server.server_port)).run(["true"])
        server.shutdown()
    assert "USER@HOST:PORT" in failure.value.hint and not failure.value.transient


def test_another_server_at_the_port(ssh_board: SshServer) -> None:
    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            with listener.accept()[0] as link:
                link.sendall(b"220 printer ready\r\n" * 120)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        with pytest.raises(AccessError, match=r"not an ssh server; it says '220 printer ready'"):
            connect(ssh_board.device(port=listener.getsockname()[1])).run(["true"])


@pytest.mark.parametrize(
    ("content", "says", "hint"),
    [
        ("public", "is the public half of a key", "id$"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "is a key of PuTTY's format", "puttygen"),
        ("-----BEGIN PRIVATE KEY-----\nMC4C\n", r"is in PKCS#8 form", "ssh-keygen -p"),
        ("<!DOCTYPE html>\n", "holds no private key", "ssh-keygen"),
        ("", "holds no private key", "ssh-keygen"),
    ],
    ids=["public", "putty", "pkcs8", "page", "empty"],
)
def test_key_file_that_is_no_private_key(content: str, says: str, hint: str, ssh_board: SshServer, tmp_path: Path) -> None:
    path = ssh_board.key.with_suffix(".pub")
    if content != "public":
        path = tmp_path / "key"
        path.write_text(content)
    with pytest.raises(InputError, match=says) as failure:
        connect(dataclasses.replace(ssh_board.device(), key=str(path))).run(["true"])
    assert str(path) in failure.value.message
    assert re.search(hint, failure.value.hint)


def test_private_keys_of_every_form_are_taken(ssh_board: SshServer, tmp_path: Path) -> None:
    """Asked is only whether it is one; whether the board takes it is said by the board."""
    for number, words in enumerate((["-t", "rsa", "-b", "2048", "-m", "PEM"], ["-t", "ecdsa"])):
        key = tmp_path / f"key{number}"
        subprocess.run(["ssh-keygen", "-q", *words, "-N", "", "-f", str(key)], check=True)
        with pytest.raises(AccessError, match=r"does not let .* in"):
            connect(dataclasses.replace(ssh_board.device(), key=str(key))).run(["true"])


def test_host_keys_lie_beside_the_inventory(ssh_board: SshServer, tmp_path: Path) -> None:
    (tmp_path / "config/plate-edge/known_hosts").unlink()
    inventory = tmp_path / "lab" / "boards.yml"
    inventory.parent.mkdir()
    inventory.write_text("schema: plate-edge/devices/1\ndevices:\n" + ssh_board.entry("gate"))
    words = ["trust", "gate", "--fingerprint", ssh_board.fingerprint, "--inventory", str(inventory)]
    first, second = (CliRunner().invoke(device_command, words) for _ in range(2))
    assert first.exit_code == 0 and str(tmp_path / "lab/known_hosts") in first.output
    assert "trusted already" in second.output
    # The host is the same whichever inventory names it.
    transport = connect(dataclasses.replace(ssh_board.device(), where=""))
    assert transport.run(["true"]).code == 0
    transport.close()


def test_adding_a_device_says_what_is_wrong_with_its_key(tmp_path: Path) -> None:
    words = ["add", "gate", "--board", "rk3399", "--ssh", "a@b", "--inventory", str(tmp_path / "devices.yml")]
    answer = CliRunner().invoke(device_command, [*words, "--key", "/nowhere/id"])
    assert answer.exit_code == 0
    assert "warning: The key file /nowhere/id of device gate does not exist." in answer.output


@pytest.mark.parametrize(
    ("raw", "text"),
    [("没有权限".encode("gbk"), "没有权限"), ("没有权限".encode(), "没有权限"), (b"plain", "plain"), (b"\xff", "\ufffd")],
)
def test_messages_in_gbk_are_read(raw: bytes, text: str) -> None:
    assert decode_message(raw) == text


def test_messages_come_in_english_where_the_board_can(ssh_board: SshServer) -> None:
    transport = connect(ssh_board.device())
    assert transport.run_check(["sh", "-c", 'echo "$LC_ALL"']).stdout == "C\n"
    transport.close()
