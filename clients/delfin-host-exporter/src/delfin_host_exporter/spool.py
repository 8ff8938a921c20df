"""Batches on the disk until delfin-host has stored them.

Promises: `append` returns when the batch is durable; batches come out in the order in which they went in, also if
several processes use the folder; the spool stays within its size; what it loses is counted.

Knows nothing of HTTP and of Delfin.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, NamedTuple, Optional

_SCHEMA = """
PRAGMA auto_vacuum = FULL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS batches (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    items INTEGER NOT NULL,
    appended_ms INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, items INTEGER NOT NULL);
"""

#: Each batch takes this much in addition to its body.
_OVERHEAD = 256


class SpoolFull(Exception):
    """The batch does not fit."""


class Batch(NamedTuple):
    """A batch in the spool. The key is the same in every attempt to send it."""

    seq: int
    key: str
    items: int
    body: bytes


class Status(NamedTuple):
    """What waits."""

    batches: int
    items: int
    bytes: int
    oldest_ms: Optional[int]


class Spool:
    """The spool of one kind of batches: `FOLDER/KIND.db`."""

    def __init__(self, folder: Path, kind: str, max_bytes: int, drop_oldest: bool) -> None:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        self.path = folder / f"{kind}.db"
        self._max_bytes = max_bytes
        self._drop_oldest = drop_oldest
        self._mutex = threading.Lock()
        #: Why the last file was moved away, if so.
        self.damage: Optional[str] = None
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            moved = f"{self.path}.damaged-{int(time.time())}"
            os.replace(self.path, moved)
            self.damage = f"`{self.path}` is damaged and is now `{moved}`: {error}"
            self._open()

    def _open(self) -> None:
        self._db = sqlite3.connect(str(self.path), timeout=30, isolation_level=None, check_same_thread=False)
        self._db.executescript(_SCHEMA)

    def append(self, body: bytes, items: int) -> int:
        """Stores a batch. Returns the number of items that were dropped for its space."""
        size = len(body) + _OVERHEAD
        with self._transaction() as db:
            excess = self._bytes(db) + size - self._max_bytes
            if excess > 0 and (not self._drop_oldest or size > self._max_bytes):
                self._add(db, "refused", items)
                dropped = -1
            else:
                dropped = self._make_space(db, excess) if excess > 0 else 0
                insert = "INSERT INTO batches (key, items, appended_ms, body) VALUES (?, ?, ?, ?)"
                db.execute(insert, (str(uuid.uuid4()), items, int(time.time() * 1000), body))
        if dropped < 0:
            raise SpoolFull(f"the spool `{self.path}` is full: {items} items are lost (is delfin-host running?)")
        return dropped

    def _make_space(self, db: sqlite3.Connection, excess: int) -> int:
        dropped = last = 0
        for last, items, size in db.execute("SELECT seq, items, length(body) FROM batches ORDER BY seq"):
            dropped += items
            excess -= size + _OVERHEAD
            if excess <= 0:
                break
        db.execute("DELETE FROM batches WHERE seq <= ?", (last,))
        self._add(db, "dropped", dropped)
        return dropped

    def oldest(self) -> Optional[Batch]:
        """The batch that comes next."""
        with self._mutex:
            select = "SELECT seq, key, items, body FROM batches ORDER BY seq LIMIT 1"
            row = self._db.execute(select).fetchone()
        return Batch(*row) if row else None

    def remove(self, batch: Batch, count: str) -> None:
        """Removes a batch, unless it was dropped meanwhile, and adds its items to a counter."""
        with self._transaction() as db:
            if db.execute("DELETE FROM batches WHERE seq = ?", (batch.seq,)).rowcount:
                self._add(db, count, batch.items)

    def count(self, name: str, items: int) -> None:
        """Adds to a counter."""
        with self._transaction() as db:
            self._add(db, name, items)

    def counts(self) -> Dict[str, int]:
        """The counters since the spool was created."""
        with self._mutex:
            return dict(self._db.execute("SELECT name, items FROM counts ORDER BY name"))

    def status(self) -> Status:
        """What waits."""
        with self._mutex:
            select = "SELECT count(*), coalesce(sum(items), 0), min(appended_ms) FROM batches"
            batches, items, oldest = self._db.execute(select).fetchone()
            return Status(batches, items, self._bytes(self._db), oldest)

    @contextmanager
    def sending(self) -> Iterator[bool]:
        """Whether this process may send. One process sends at a time, so that the order is kept."""
        lock = os.open(f"{self.path}.lock", os.O_CREAT | os.O_RDWR, 0o640)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(lock)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @staticmethod
    def _bytes(db: sqlite3.Connection) -> int:
        select = "SELECT coalesce(sum(length(body)), 0) + count(*) * ? FROM batches"
        return int(db.execute(select, (_OVERHEAD,)).fetchone()[0])

    @staticmethod
    def _add(db: sqlite3.Connection, name: str, items: int) -> None:
        upsert = "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET items = items + excluded.items"
        db.execute(upsert, (name, items))
