"""Results over time, in SQLite by default or any database that SQLAlchemy speaks to.

A result is kept whole (its JSON, compressed) beside a row for each figure that trends are made of. Adding is one
transaction and the same result is added once however often it is offered, so writers may run side by side and may be
killed at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from bench.judge.summary import summarise_result
from bench.record.result import SCHEMA, Result, result_from_json
from bench.stats.changepoints import change_points
from edge.base.errors import HostError, InputError, UsageError
from edge.base.paths import config_dir

VERSION = 1
# As the value of PLATE_EDGE_HISTORY: `bench run` adds nothing.
OFF = "off"
BUSY_SECONDS = 60
RECENT = 5
# Characters of a figure's name.
_NAME = 200

_META = sa.MetaData()
_VERSION = sa.Table("plate_edge_history", _META, sa.Column("version", sa.Integer, primary_key=True))
RESULTS = sa.Table(
    "results",
    _META,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("created", sa.String(40), nullable=False, index=True),
    sa.Column("device", sa.String(200), nullable=False, index=True),
    sa.Column("board", sa.String(200), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("verdict", sa.String(20), nullable=False),
    sa.Column("plan", sa.String(200), nullable=False),
    sa.Column("photos", sa.String(64), nullable=False),
    sa.Column("release", sa.String(64), nullable=False),
    sa.Column("git", sa.String(64), nullable=False),
    sa.Column("added", sa.String(40), nullable=False),
    # The length is for MySQL, whose plain BLOB ends at 64 kB.
    sa.Column("document", sa.LargeBinary(1 << 30), nullable=False),
)
FIGURES = sa.Table(
    "figures",
    _META,
    sa.Column("result", sa.String(64), sa.ForeignKey("results.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("cell", sa.String(_NAME), primary_key=True),
    sa.Column("stage", sa.String(40), primary_key=True),
    sa.Column("median", sa.Float, nullable=False),
    sa.Column("low", sa.Float),
    sa.Column("high", sa.Float),
    sa.Column("p90", sa.Float, nullable=False),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("verdict", sa.String(20), nullable=False),
)


@dataclass(frozen=True)
class HistoryEntry:
    """One result in the list."""

    id: str
    created: str
    device: str
    board: str
    kind: str
    verdict: str
    plan: str
    release: str
    git: str


@dataclass(frozen=True)
class Point:
    """One figure of a trend; `change` marks the first of a new level."""

    result: str
    created: str
    median: float
    low: float | None
    high: float | None
    n: int
    verdict: str
    release: str
    change: bool


@dataclass(frozen=True)
class Trend:
    """A figure of one device and combination over time."""

    device: str
    cell: str
    stage: str
    photos: str
    points: tuple[Point, ...]


def url_in_use() -> str | None:
    """The database that PLATE_EDGE_HISTORY names, `OFF`, or None for the user's own."""
    return os.environ.get("PLATE_EDGE_HISTORY") or None


def default_url() -> str:
    """The user's own SQLite file."""
    path = config_dir() / "history.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path}"


class History:
    """The store.

    Args:
        url: Database URL as SQLAlchemy writes it; None for `default_url()`.

    Raises:
        UsageError: Not a URL, or a driver that is not installed.
        HostError: The database cannot be reached or written.
        InputError: It was made by another version of the kit.
    """

    def __init__(self, url: str | None = None) -> None:
        try:
            self.engine = sa.create_engine(url or default_url())
        except (SQLAlchemyError, ModuleNotFoundError, ValueError) as error:
            raise UsageError(
                f"--db {url!r} cannot be used: {error}.",
                "For example sqlite:////path/to/history.sqlite or postgresql+pg8000://user@host/database.",
            ) from error
        self.lite = self.engine.dialect.name == "sqlite"
        if self.lite:
            sa.event.listen(self.engine, "connect", _tune_sqlite)
            sa.event.listen(self.engine, "begin", _begin_at_once)
        with self._begin() as link:
            self._prepare(link)

    def add(self, result: Result) -> bool:
        """Keeps a result.

        Returns:
            True when it was new.

        Raises:
            HostError: The database cannot be written.
        """
        summary = summarise_result(result)
        identity = result.identity
        document = json.dumps({"schema": SCHEMA, **asdict(result)}, ensure_ascii=False, allow_nan=False)
        row = {
            "id": identity,
            "created": result.created,
            "device": str(result.device.get("name")),
            "board": str(result.device.get("board")),
            "kind": str(result.device.get("kind")),
            "verdict": summary.level,
            "plan": str(result.plan.get("name")),
            "photos": result.photos_sha256,
            "release": result.release,
            "git": str(result.kit.get("git") or ""),
            "added": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "document": zlib.compress(document.encode(), 6),
        }
        figures = [
            {
                "result": identity,
                "cell": series(result, item.cell.key),
                "stage": stage,
                "median": found.median,
                "low": found.interval.low if found.interval else None,
                "high": found.interval.high if found.interval else None,
                "p90": found.p90,
                "n": found.n,
                "verdict": item.verdict.level,
            }
            for item in summary.cells
            for stage, found in item.stages.items()
        ]
        try:
            with self._begin() as link:
                if link.execute(sa.select(RESULTS.c.id).where(RESULTS.c.id == identity)).first():
                    return False
                link.execute(RESULTS.insert(), row)
                if figures:
                    link.execute(FIGURES.insert(), figures)
        except IntegrityError:
            # Another writer added the same result between our look and our insert.
            return False
        return True

    def entries(self, *, device: str | None = None, board: str | None = None) -> list[HistoryEntry]:
        """Lists results, the oldest first."""
        names = [RESULTS.c[field] for field in HistoryEntry.__dataclass_fields__]
        query = sa.select(*names).order_by(RESULTS.c.created, RESULTS.c.id)
        if device:
            query = query.where(RESULTS.c.device == device)
        if board:
            query = query.where(RESULTS.c.board == board)
        with self._begin() as link:
            return [HistoryEntry(*row) for row in link.execute(query)]

    def get(self, start: str) -> Result:
        """Returns the result whose id begins so.

        Raises:
            UsageError: None does, or more than one.
            InputError: What is stored is damaged.
        """
        with self._begin() as link:
            identity = _only(link, start)
            packed = link.execute(sa.select(RESULTS.c.document).where(RESULTS.c.id == identity)).scalar_one()
        where = f"history, {identity[:12]}"
        try:
            document = json.loads(zlib.decompress(packed))
        except (zlib.error, ValueError) as error:
            raise InputError(f"{where}: the stored result is damaged: {error}.", "`bench history remove` it.") from error
        return result_from_json(document, where)

    def remove(self, start: str) -> str:
        """Removes the result whose id begins so, readable or not; returns the id.

        Raises:
            UsageError: None does, or more than one.
        """
        with self._begin() as link:
            identity = _only(link, start)
            link.execute(FIGURES.delete().where(FIGURES.c.result == identity))
            link.execute(RESULTS.delete().where(RESULTS.c.id == identity))
        return identity

    def trends(
        self, *, device: str | None = None, cell: str | None = None, stage: str = "total", invalid: bool = False
    ) -> list[Trend]:
        """Figures over time, one trend for each device, kind of board, combination and list of photos.

        Args:
            device: Only of this one.
            cell: Only combinations whose key begins so.
            stage: Which figure.
            invalid: Also figures whose verdict is INVALID; else they are left out, since they are not measurements.
        """
        query = (
            sa.select(RESULTS, FIGURES)
            .join(FIGURES, FIGURES.c.result == RESULTS.c.id)
            .where(FIGURES.c.stage == stage)
            .order_by(RESULTS.c.created, RESULTS.c.id)
            .with_only_columns(
                RESULTS.c.device, FIGURES.c.cell, RESULTS.c.photos, RESULTS.c.id, RESULTS.c.created, FIGURES.c.median,
                FIGURES.c.low, FIGURES.c.high, FIGURES.c.n, FIGURES.c.verdict, RESULTS.c.release,
                RESULTS.c.board, RESULTS.c.kind,
            )
        )  # fmt: skip
        if device:
            query = query.where(RESULTS.c.device == device)
        if cell:
            query = query.where(FIGURES.c.cell.startswith(cell, autoescape=True))
        if not invalid:
            query = query.where(FIGURES.c.verdict != "INVALID")
        with self._begin() as link:
            rows = link.execute(query).all()
        series: dict[tuple[str, ...], list[Any]] = {}
        for row in rows:
            # A name that was given to another board goes on as another trend.
            series.setdefault((row[0], row[1], row[2], row[11], row[12]), []).append(row)
        return [_trend(key, stage, found) for key, found in sorted(series.items())]

    def close(self) -> None:
        """Closes the connections."""
        self.engine.dispose()

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        try:
            with self.engine.begin() as link:
                yield link
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            where = self.engine.url.render_as_string(hide_password=True)
            raise HostError(
                f"the history in {where} cannot be used: {' '.join(str(cause).split())[:300]}.",
                "Check path, permissions and server; --db names another database.",
            ) from error

    def _prepare(self, link: sa.Connection) -> None:
        if self.engine.dialect.name == "postgresql":
            # Two processes that both create the tables would collide in the server's catalogue.
            link.execute(sa.text("SELECT pg_advisory_xact_lock(7460311)"))
        known = sa.inspect(link).has_table(_VERSION.name)
        if not known and sa.inspect(link).has_table(RESULTS.name):
            raise InputError("the database has a table `results` that is not the kit's.", "Name another database with --db.")
        _META.create_all(link)
        found = link.execute(sa.select(_VERSION.c.version)).scalars().all()
        if not found:
            link.execute(_VERSION.insert(), {"version": VERSION})
        elif found != [VERSION]:
            raise InputError(
                f"the history has version {found}, this kit reads {VERSION}.",
                "Use the kit that made it, or another --db.",
            )


def add_file(history: History, path: Path) -> tuple[str, bool]:
    """Adds a `result.json` (or its folder); returns its id and whether it was new."""
    from bench.record.result import load_result

    result = load_result(path)
    return result.identity, history.add(result)


def series(result: Result, key: str) -> str:
    """Name under which a cell's figures make a trend: with settings and knobs that its key does not name.

    The governor at full speed, or another way to decode, would otherwise look like a board that changed one day. So would
    the computers of a team that shares a database: each of them is `local` to its user.
    """
    special = {**result.plan.get("options", {}), **result.tuning.get("knobs", {})}
    if result.device.get("kind") == "host":
        special["cpu"] = f"{result.facts.get('cores') or '?'} x {result.facts.get('cpu') or result.device.get('name')}"
    name = f"{key} {' '.join(f'{name}={value}' for name, value in sorted(special.items()))}".strip()
    # What does not fit the column is told apart by its hash.
    return name if len(name) <= _NAME else f"{name[: _NAME - 17]} {hashlib.sha256(name.encode()).hexdigest()[:16]}"


def news(history: History, result: Result) -> list[str]:
    """Sentences about totals whose level changes with this result; empty when nothing is new."""
    said = []
    for cell in result.cells:
        name = series(result, cell.key)
        for trend in history.trends(device=str(result.device.get("name")), cell=name):
            points = trend.points
            if trend.cell != name or result.identity not in {point.result for point in points}:
                continue
            change = max((number for number, point in enumerate(points) if point.change), default=0)
            # A new level shows only after some results, and is reported for as many.
            if change and len(points) - change <= RECENT:
                before = float(median(point.median for point in points[max(0, change - RECENT) : change]))
                after = float(median(point.median for point in points[change:]))
                said.append(
                    f"history: {name} takes {after / before:.2f} times as long since {points[change].created[:16]}"
                )
    return said


def _only(link: sa.Connection, start: str) -> str:
    found = link.execute(sa.select(RESULTS.c.id).where(RESULTS.c.id.startswith(start, autoescape=True)).limit(2)).all()
    if len(found) != 1:
        many = "no id begins" if not found else "several ids begin"
        raise UsageError(f"{many} with {start!r}.", "`bench history list` shows them.")
    return str(found[0].id)


def _trend(key: tuple[str, ...], stage: str, rows: Sequence[Any]) -> Trend:
    changes = set(change_points([row[5] for row in rows])) if all(row[5] > 0 for row in rows) else set()
    points = tuple(
        Point(row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10], number in changes)
        for number, row in enumerate(rows)
    )
    return Trend(key[0], key[1], stage, key[2], points)


def _tune_sqlite(link: Any, record: object) -> None:
    # Readers and one writer side by side, others wait. Python's own BEGIN leaves out what creates tables.
    link.isolation_level = None
    cursor = link.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_at_once(link: sa.Connection) -> None:
    # IMMEDIATE, so that nobody finds the file locked half-way through a transaction.
    link.exec_driver_sql("BEGIN IMMEDIATE")
