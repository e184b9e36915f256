"""Where the kit keeps its files, and how it writes them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge.base.errors import HostError
from edge.base.paths import cache_dir, config_dir, write_atomic
from edge.device.board import find_device


def test_threads_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    """Boards of a group are flashed in threads, which keep the same notes and configs."""
    path, troubles = tmp_path / "note", []

    def work() -> None:
        try:
            for _ in range(40):
                write_atomic(path, "a" * 64)
                assert len(path.read_bytes()) == 64
        except (OSError, AssertionError) as error:
            troubles.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert list(tmp_path.iterdir()) == [path]


def test_a_relative_cache_is_meant_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLATE_EDGE_CACHE", "my cache")
    assert cache_dir("build") == tmp_path / "my cache" / "build"
    assert find_device("local").root.startswith(str(tmp_path))


def test_empty_and_relative_variables_are_as_if_unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLATE_EDGE_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("XDG_CONFIG_HOME", "")
    assert cache_dir("build") == tmp_path / "home/.cache/plate-edge/build"
    assert config_dir() == tmp_path / "home/.config/plate-edge"


def test_without_a_home_the_next_step_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("PLATE_EDGE_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    for look in (config_dir, lambda: cache_dir("build")):
        with pytest.raises(HostError, match="has no home folder") as caught:
            look()
        assert "Set HOME" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become a user that there is not")
def test_a_container_user_without_a_name_can_use_the_kit(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    program = "import os\nfrom edge.transport.host_keys import load_known\nfrom paramiko.hostkeys import HostKeys\n"
    program += "os.setuid(54321); load_known(HostKeys(), 'board', 22); print('well')"
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "well", done.stderr


def test_a_cache_that_cannot_be_made_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("PLATE_EDGE_CACHE", str(tmp_path / "file"))
    with pytest.raises(HostError, match=r"cache folder .*file/models cannot be made: Not a directory.*PLATE_EDGE_CACHE"):
        cache_dir("models")
