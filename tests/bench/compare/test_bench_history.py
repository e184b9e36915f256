"""History: kept once, kept whole, safe beside other writers and after a kill; on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from fake_board import run
from free_port import free_port

from bench.cli import bench
from bench.compare.history import RESULTS, History, add_file, news
from bench.record.result import Result, load_result, save_result
from bench.stats.changepoints import change_points
from edge.base.errors import HostError, InputError, UsageError


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run(tmp_path_factory.mktemp("history"), processes=2, repeats=10)


def at(result: Result, day: int, factor: float = 1.0) -> Result:
    processes = tuple(
        replace(process, ms={key: tuple(value * factor for value in values) for key, values in process.ms.items()})
        for process in result.processes
    )
    return replace(result, created=f"2026-01-{day:02d}T00:00:00.000+00:00", processes=processes)


def test_result_is_kept_once_and_whole(result: Result, tmp_path: Path) -> None:
    store = History(f"sqlite:///{tmp_path / 'h.sqlite'}")
    assert store.add(result) and not store.add(result)
    (entry,) = store.entries()
    assert entry.id == result.identity and entry.device == "fake" and entry.verdict == "NOISY"
    assert store.get(entry.id[:8]) == result
    assert store.entries(device="other") == [] and len(store.entries(board="rk3399")) == 1
    assert store.remove(entry.id[:10]) == entry.id and store.entries() == [] and store.trends() == []
    with pytest.raises(UsageError, match="no id"):
        store.get("ffff")


def test_other_settings_and_knobs_make_a_trend_of_their_own(result: Result, tmp_path: Path) -> None:
    store = History(f"sqlite:///{tmp_path / 'h.sqlite'}")
    fast = {"knobs": {"governor": "performance"}, "settings": [], "problems": []}
    for day in range(1, 9):
        tuned = {"tuning": fast} if day > 4 else {}
        store.add(replace(at(result, day, 0.8 if day > 4 else 1.0), **tuned))
    plate = at(result, 9, 1.3)
    store.add(replace(plate, plan={**plate.plan, "options": {"decode": "plate"}}))
    trends = {trend.cell: trend for trend in store.trends(cell="ppocrv3-fp32")}
    key = "ppocrv3-fp32_t1_none_min736"
    assert {name: len(trend.points) for name, trend in trends.items()} == {
        key: 4, f"{key} decode=plate": 1, f"{key} governor=performance": 4,
    }  # fmt: skip
    assert not any(point.change for trend in trends.values() for point in trend.points)


def test_other_computers_and_boards_of_the_same_name_are_not_mixed(result: Result, tmp_path: Path) -> None:
    store = History(f"sqlite:///{tmp_path / 'h.sqlite'}")
    host = {**result.device, "name": "local", "board": "local", "kind": "host"}
    computers = [({**host}, {"cpu": "Swift 9", "cores": 8}), ({**host}, {"cpu": "Slow 1", "cores": 2})]
    boards = [({**result.device, "name": "gate", "board": name}, {}) for name in ("rk3399", "rpi4")]
    said = []
    for day in range(1, 13):
        for number, (device, facts) in enumerate((*computers, *boards)):
            # From the seventh day on each pair's other half is measured.
            if number % 2 == (day > 6):
                found = replace(at(result, day, 2.0 if number % 2 else 1.0), device=device, facts={**result.facts, **facts})
                assert store.add(found)
                said += news(store, found)
    trends = store.trends(cell="ppocrv3-fp32")
    assert [len(trend.points) for trend in trends] == [6] * 4 and not said
    assert not any(point.change for trend in trends for point in trend.points)


def test_settings_too_long_for_a_name_are_not_mixed_either(result: Result, tmp_path: Path) -> None:
    store = History(f"sqlite:///{tmp_path / 'h.sqlite'}")
    for day, last in ((1, "x"), (2, "y")):
        options = {"text_strip": "·" * 220 + last}
        assert store.add(replace(at(result, day), plan={**result.plan, "options": options}))
    assert [len(trend.points) for trend in store.trends(cell="ppocrv3-fp32")] == [1, 1]


def test_damaged_result_is_told_and_can_be_removed(result: Result, tmp_path: Path) -> None:
    store = History(f"sqlite:///{tmp_path / 'h.sqlite'}")
    store.add(result)
    for data, told in ((b"no zlib", "damaged"), (zlib.compress(b"{}"), "schema")):
        with store.engine.begin() as link:
            link.execute(RESULTS.update().values(document=data))
        with pytest.raises(InputError, match=told):
            store.get(result.identity[:8])
    assert store.remove(result.identity[:8]) == result.identity and store.entries() == []


def test_tables_suit_other_servers() -> None:
    from sqlalchemy.dialects import mysql
    from sqlalchemy.schema import CreateTable

    # Without a length MySQL makes a BLOB, which ends at 64 kB; asked for more it takes what is large enough.
    assert "document BLOB(1073741824)" in str(CreateTable(RESULTS).compile(dialect=mysql.dialect()))


def test_change_points() -> None:
    rng = np.random.default_rng(0)
    steady = (100 * np.exp(rng.normal(0, 0.01, 30))).tolist()
    assert change_points(steady) == []
    step = steady[:15] + [value * 1.12 for value in steady[15:]]
    assert change_points(step) == [15]
    twice = steady[:10] + [value * 1.2 for value in steady[10:20]] + [value * 0.9 for value in steady[20:]]
    assert change_points(twice) == [10, 20]
    odd = list(steady)
    odd[12] *= 2
    assert change_points(odd) == [], "one odd run is no new level"
    assert change_points([1.0, 2.0]) == []
    false = sum(bool(change_points((100 * np.exp(rng.normal(0, 0.02, 30))).tolist())) for _ in range(200))
    assert false <= 10, "at most one in twenty steady series"


def test_trend_marks_the_change(result: Result, tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path / 'h.sqlite'}"
    store = History(db)
    for day in range(1, 13):
        store.add(at(result, day, (1.0 if day < 8 else 1.2) * (1 + 0.002 * (day % 3))))
    (trend,) = store.trends(cell="ppocrv3-int8")
    assert [point.created[8:10] for point in trend.points if point.change] == ["08"]
    answer = CliRunner().invoke(bench, ["history", "--db", db, "trend", "--cell", "ppocrv3-int8"])
    assert "level changed, x1.2" in answer.output and answer.output.count("level changed") == 1
    assert len(json.loads(CliRunner().invoke(bench, ["history", "--db", db, "trend", "--json"]).output)) == 2


def test_command_line_round_trip(result: Result, tmp_path: Path) -> None:
    save_result(tmp_path / "in" / "result.json", result)
    db = ["history", "--db", f"sqlite:///{tmp_path / 'h.sqlite'}"]
    runner = CliRunner()
    assert "added" in runner.invoke(bench, [*db, "add", str(tmp_path / "in")]).output
    assert "known" in runner.invoke(bench, [*db, "add", str(tmp_path / "in" / "result.json")]).output
    out = tmp_path / "out.json"
    done = runner.invoke(bench, [*db, "export", result.identity[:9], "--out", str(out), "--json"])
    assert json.loads(done.stdout) == {"id": result.identity, "file": str(out)}
    assert load_result(out) == result
    assert isinstance(
        runner.invoke(bench, [*db, "export", result.identity[:9], "--out", str(out)]).exception, UsageError
    )
    assert result.identity[:12] in runner.invoke(bench, [*db, "list"]).output
    done = runner.invoke(bench, [*db, "remove", result.identity[:9], "--json"])
    assert json.loads(done.stdout) == {"removed": result.identity}


def test_strange_databases_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("this is no database, but long enough to be looked at as one" * 20)
    with pytest.raises(HostError, match="cannot be used"):
        History(f"sqlite:///{tmp_path / 'text.sqlite'}")
    with pytest.raises(HostError):
        History(f"sqlite:///{tmp_path / 'missing' / 'h.sqlite'}")
    with pytest.raises(UsageError):
        History("no url at all")
    import sqlite3

    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE results (id TEXT)")
    other.commit()
    other.close()
    with pytest.raises(InputError, match="not the kit"):
        History(f"sqlite:///{tmp_path / 'other.sqlite'}")
    future = History(f"sqlite:///{tmp_path / 'future.sqlite'}")
    with future.engine.begin() as link:
        link.exec_driver_sql("UPDATE plate_edge_history SET version = 99")
    with pytest.raises(InputError, match="version"):
        History(f"sqlite:///{tmp_path / 'future.sqlite'}")


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from bench.compare.history import History
from bench.record.result import load_result
import bench.compare.history
result = load_result(Path(sys.argv[2]))
# The figures are the same each time; what is tried here is the database.
summary = bench.compare.history.summarise_result(result)
bench.compare.history.summarise_result = lambda _: summary
store = History(sys.argv[1])
print("ready", flush=True)
for number in range(int(sys.argv[4])):
    store.add(replace(result, created=f"2026-02-01T{sys.argv[3]}:{number // 60:02d}:{number % 60:02d}.000+00:00"))
"""


def writers(url: str, file: Path, count: int, each: int) -> list[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", WRITER, url, str(file)]
    return [
        subprocess.Popen([*command, f"{number:02d}", str(each)], stdout=subprocess.PIPE, cwd=Path.cwd())
        for number in range(count)
    ]


def prove_parallel(url: str, result: Result, tmp_path: Path) -> None:
    save_result(tmp_path / "result.json", result)
    children = writers(url, tmp_path / "result.json", 3, 12)
    assert [child.wait(timeout=600) for child in children] == [0, 0, 0]
    store = History(url)
    assert len(store.entries()) == 36
    # One is killed in the middle; the database stays whole and the others can write.
    (child,) = writers(url, tmp_path / "result.json", 1, 5000)
    assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    time.sleep(0.5)
    child.send_signal(signal.SIGKILL)
    child.wait(timeout=600)
    assert store.add(at(result, 9))
    entries = store.entries()
    assert store.get(entries[-1].id).photos == result.photos
    trends = store.trends(stage="crop")
    assert all(len(trend.points) == len(entries) for trend in trends) and len(trends) == 2
    store.close()


def test_parallel_writers_and_a_killed_one_on_sqlite(result: Result, tmp_path: Path) -> None:
    prove_parallel(f"sqlite:///{tmp_path / 'h.sqlite'}", result, tmp_path)


@pytest.fixture
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of this test's own, from Debian's package."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    binaries = places[-1].parent if places else None
    if binaries is None and (found := shutil.which("initdb")):
        binaries = Path(found).parent
    if binaries is None:
        pytest.skip("no PostgreSQL (apt-get install postgresql)")
    pg8000 = pytest.importorskip("pg8000")
    # It refuses to run as root, and its user must be able to reach its folder.
    root = os.geteuid() == 0
    folder = Path(tempfile.mkdtemp(prefix="plate-edge-pg-", dir="/tmp"))
    user = "postgres" if root else pwd.getpwuid(os.geteuid()).pw_name
    if root:
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if root else []
    port = free_port()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    made = [*as_user, str(binaries / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", "plate", "--no-sync"]
    subprocess.run(made, check=True, **quiet)  # type: ignore[call-overload]
    options = ["-D", str(folder / "data"), "-p", str(port), "-k", str(folder), "-h", "127.0.0.1", "-F"]
    server = subprocess.Popen([*as_user, str(binaries / "postgres"), *options], **quiet)  # type: ignore[call-overload]
    try:
        # Its port is open before it answers: for a while it only says that it is starting up.
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline and server.poll() is None:
            with suppress(pg8000.exceptions.Error, OSError):
                pg8000.connect("plate", host="127.0.0.1", port=port, database="postgres", timeout=10).close()
                break
            time.sleep(0.2)
        yield f"postgresql+pg8000://plate@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=600)
        shutil.rmtree(folder, ignore_errors=True)
    assert user


def test_parallel_writers_and_a_killed_one_on_a_real_postgresql(postgres: str, result: Result, tmp_path: Path) -> None:
    prove_parallel(postgres, result, tmp_path)
    store = History(postgres)
    save_result(tmp_path / "again.json", result)
    assert add_file(store, tmp_path / "again.json")[1] and not add_file(store, tmp_path / "again.json")[1]
    store.close()
