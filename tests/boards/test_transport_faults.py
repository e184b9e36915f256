"""Links that break in the middle: what arrives is whole or not there, and the same call ends the job."""

from __future__ import annotations

import dataclasses
import random
import shutil
from pathlib import Path

import pytest
from cutproxy import CutProxy
from sshd_server import SshServer

from edge.errors import LinkError
from edge.transport import connect

SIZE = 1_500_000
CUTS = 10


@pytest.mark.parametrize("seed", range(20))
def test_link_cut_at_ten_random_points_of_a_push(ssh_board: SshServer, tmp_path: Path, seed: int) -> None:
    """The old file stays until the new one is whole; nothing is sent twice beyond what was in flight."""
    rng = random.Random(seed)
    # Most cuts within the content, some within the first 3 kB, which are key exchange and authentication.
    cuts = [rng.randrange(3_000) if rng.random() < 0.15 else rng.randrange(3_000, 600_000) for _ in range(CUTS)]
    proxy = CutProxy(ssh_board.port, cuts)
    device = dataclasses.replace(ssh_board.device(), port=proxy.port)
    known = tmp_path / "config" / "plate-edge" / "known_hosts"
    known.write_text(known.read_text() + f"[127.0.0.1]:{proxy.port} {ssh_board.host_key}\n")
    source = tmp_path / "model.nb"
    source.write_bytes(rng.randbytes(SIZE))
    folder = ssh_board.home / f"cut-{seed}"
    folder.mkdir()
    (folder / "model.nb").write_bytes(b"old")
    transport = connect(device)
    steps: list[int] = []
    for _ in range(CUTS + 1):
        try:
            assert transport.put(source, f"{folder}/model.nb", progress=lambda done, total: steps.append(done)) is True
            break
        except LinkError as error:
            assert error.transient and error.hint
            assert (folder / "model.nb").read_bytes() == b"old", "a part of the new file was let in"
    transport.close()
    proxy.close()
    assert (folder / "model.nb").read_bytes() == source.read_bytes()
    assert [path.name for path in folder.iterdir()] == ["model.nb"]
    assert proxy.connections > 3, "the link was not cut"
    shutil.rmtree(folder)
