"""What a sweep has found so far, in its folder: an SQLite database of steps, and the files that they wrote.

A step's files are written and flushed first, its row is committed after them: at whatever moment the power fails, a
row's files are there. A row holds the hash of its document and of each file; an entry that does not fit them counts as
not there, and is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.sweep.record import Step
from edgenet.atomic import make_folder, write_files
from edgenet.errors import InputError, MissingError

DATABASE_NAME, LOCK_NAME, CELLS = "sweep.db", "sweep.lock", "cells"
KEY_LETTERS = 12  # of a key in a folder's name: enough to tell two of one title apart
SCHEMA = """
CREATE TABLE IF NOT EXISTS steps (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, document TEXT NOT NULL, files TEXT NOT NULL,
    sha256 TEXT NOT NULL, duration_s REAL NOT NULL, runs INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS shards (
    step TEXT NOT NULL, number INTEGER NOT NULL, document TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (step, number)
);
"""
# `runs` counts how often a step was recorded that was there already: it stays 1.
KEEP = """
INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET document = excluded.document,
files = excluded.files, sha256 = excluded.sha256, duration_s = excluded.duration_s, runs = runs + 1
"""


@dataclass(frozen=True)
class Ran:
    """A step that has been run; the title tells people which, and is part of a folder's name."""

    kind: Step
    title: str
    key: str
    duration_s: float


@dataclass(frozen=True)
class Entry:
    """A step that was recorded: its document, and where its files are."""

    document: dict[str, Any]
    files: tuple[Path, ...]


class Store:
    """The database and files of one sweep; made by `open_store`."""

    def __init__(self, folder: Path, database: sqlite3.Connection, say: Callable[[str], None]) -> None:
        self.folder, self._database, self._say = folder, database, say

    def find(self, key: str) -> Entry | None:
        """Return a recorded step whose document and files are what they were; None if there is none."""
        row = self._one("SELECT title, kind, document, files, sha256 FROM steps WHERE key = ?", key)
        if row is None:
            return None
        title, kind, document, files, digest = row
        damaged = self._damage(document, files, digest)
        if damaged:
            self._say(f"{kind} {title}: {damaged}; it is made anew")
            self._change("DELETE FROM steps WHERE key = ?", key)
            return None
        return Entry(json.loads(document), tuple(self.folder / name for name in json.loads(files)))

    def keep(self, step: Ran, document: Mapping[str, Any], files: Mapping[str, bytes]) -> Entry:
        """Record a step: its files first, then its row. Raise InputError where there is no room."""
        place = f"{CELLS}/{step.kind}-{step.title}-{step.key[:KEY_LETTERS]}"
        written = {f"{place}/{name}": content for name, content in files.items()}
        write_files({self.folder / name: content for name, content in written.items()})
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in written.items()}
        text, names = json.dumps(document, sort_keys=True), json.dumps(hashes, sort_keys=True)
        self._change(KEEP, step.key, step.kind, step.title, text, names, _digest(text + names), step.duration_s)
        return Entry(json.loads(text), tuple(self.folder / name for name in written))

    def find_shard(self, step: str, number: int) -> dict[str, Any] | None:
        """Return a recorded shard of a step that is not finished; None if there is none, or it is damaged."""
        row = self._one("SELECT document, sha256 FROM shards WHERE step = ? AND number = ?", step, number)
        if row is None or _digest(row[0]) != row[1]:
            return None
        found: dict[str, Any] = json.loads(row[0])
        return found

    def keep_shard(self, step: str, number: int, document: Mapping[str, Any]) -> None:
        """Record a shard of a step."""
        text = json.dumps(document, sort_keys=True)
        self._change("INSERT OR REPLACE INTO shards VALUES (?, ?, ?, ?)", step, number, text, _digest(text))

    def drop_shards(self, step: str) -> None:
        """Forget the shards of a step that has been recorded as a whole."""
        self._change("DELETE FROM shards WHERE step = ?", step)

    def durations(self) -> list[tuple[str, str, float]]:
        """Return kind, title and seconds of every recorded step."""
        return self._database.execute("SELECT kind, title, duration_s FROM steps").fetchall()

    def _damage(self, document: str, files: str, digest: str) -> str:
        if _digest(document + files) != digest:
            return "its record is damaged"
        for name, expected in json.loads(files).items():
            path = self.folder / name
            if path.is_symlink() or not path.is_file():
                return f"{name} is missing"
            if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
                return f"{name} is not what was written (sha256 differs)"
        return ""

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        with _database_errors(self.folder):
            row: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
            return row

    def _change(self, statement: str, *values: object) -> None:
        with _database_errors(self.folder), self._database:
            self._database.execute(statement, values)


@contextmanager
def open_store(folder: Path, say: Callable[[str], None]) -> Iterator[Store]:
    """Open a sweep's folder for this process alone.

    Raise MissingError, which names the other, while another sweep uses it; InputError for a folder that cannot be
    written to or a database that is damaged.
    """
    make_folder(folder)
    with _locked(folder), _database_errors(folder):
        database = sqlite3.connect(folder / DATABASE_NAME)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.executescript(SCHEMA)
            yield Store(folder, database, say)
        finally:
            database.close()


@contextmanager
def peek_store(folder: Path) -> Iterator[Store | None]:
    """Open a sweep's folder to look at, None where there is none; nothing is written or locked."""
    path = folder / DATABASE_NAME
    if not path.is_file():
        yield None
        return
    with _database_errors(folder):
        database = sqlite3.connect(f"file:{path.absolute()}?mode=ro", uri=True)
        try:
            yield Store(folder, database, lambda text: None)
        finally:
            database.close()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / LOCK_NAME).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read(200).strip() or "another process"
            raise MissingError(
                f"{folder} is in use by {holder}", mend="wait for it, stop it, or name another folder with --out"
            ) from error
        file.truncate(0)
        since = datetime.now(timezone.utc).isoformat(timespec="seconds")
        file.write(f"process {os.getpid()} on {platform.node()} since {since}\n")
        file.flush()
        yield
        file.truncate(0)


@contextmanager
def _database_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        full = "full" in str(error)  # SQLite's own words; Python 3.10 has no code for it
        mend = (
            "make room, and start again: nothing that was recorded is lost"
            if full
            else f"move {DATABASE_NAME} away; what it held is then made anew"
        )
        raise InputError(f"{folder / DATABASE_NAME}: {error}", mend=mend) from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
