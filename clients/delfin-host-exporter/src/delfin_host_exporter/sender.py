"""Sends the batches of a spool in a thread, in their order, until the host has stored them.

Delfin creates exporters again and again, so there is one sender for each spool of a process.
"""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from .client import Client, Refused, Unavailable
from .spool import Batch, Spool

#: How long another process can send before this one looks again, in seconds.
_LOOK = 1.0


class Sender:
    """The sender of one spool."""

    def __init__(self, spool: Spool, client: Client, max_delay: float, log: Any) -> None:
        self._spool = spool
        self._client = client
        self._max_delay = max_delay
        self._log = log
        self._failures = 0
        self._is_reported_full = False
        self._appended = threading.Event()
        if spool.damage:
            log.error("spool moved away: %s", spool.damage)
        waiting = spool.status()
        if waiting.batches:
            log.info("%d items wait in the spool `%s`", waiting.items, spool.path)
        self._appended.set()
        threading.Thread(target=self._run, name="delfin-host-exporter", daemon=True).start()

    def append(self, body: bytes, items: int) -> None:
        """Takes a batch. It is durable when the call returns."""
        dropped = self._spool.append(body, items)
        if dropped:
            level = logging.DEBUG if self._is_reported_full else logging.ERROR
            self._log.log(level, "spool `%s` is full: dropped its oldest %d items", self._spool.path, dropped)
        self._is_reported_full = bool(dropped)
        self._appended.set()

    def skip(self, points: int, items: int) -> None:
        """Counts what no request can hold."""
        if points or items:
            self._spool.count("skipped", points + items)
            self._log.warning("left out %d points that are no number, and %d invalid items", points, items)

    def _run(self) -> None:
        delay: Optional[float] = None
        while True:
            if delay is not None and self._failures:
                # New batches do not shorten the wait for a host that is away.
                time.sleep(delay)
            else:
                self._appended.wait(delay)
            self._appended.clear()
            try:
                delay = self._drain()
            except (OSError, sqlite3.Error) as error:
                self._log.error("cannot read the spool `%s`: %s", self._spool.path, error)
                delay = self._max_delay

    def _drain(self) -> Optional[float]:
        """Sends what waits. Returns after how many seconds it is worth to look again."""
        with self._spool.sending() as may_send:
            while may_send:
                batch = self._spool.oldest()
                if batch is None:
                    return None
                try:
                    self._send(batch)
                except Unavailable as error:
                    return self._on_unavailable(error)
        return _LOOK if self._spool.status().batches else None

    def _send(self, batch: Batch) -> None:
        try:
            receipt = self._client.send(batch.body, batch.key)
        except Refused as error:
            self._log.error("delfin-host refuses a batch of %d items, which are lost: %s", batch.items, error)
            self._spool.remove(batch, "rejected")
            return
        self._spool.remove(batch, "sent")
        if self._failures:
            self._log.info("delfin-host is available again: %s", self._client.url)
            self._failures = 0
        if receipt.get("rejected_items"):
            first = (receipt.get("rejected") or [{}])[0].get("error", "")
            self._log.warning("delfin-host rejected %s items, the first: %s", receipt["rejected_items"], first)

    def _on_unavailable(self, error: Unavailable) -> float:
        level = logging.DEBUG if self._failures else logging.WARNING
        self._log.log(level, "delfin-host is not available, batches wait in `%s`: %s", self._spool.path, error)
        self._failures += 1
        delay: float = min(self._max_delay, 0.5 * 2 ** min(self._failures, 10)) * random.uniform(0.5, 1)
        return min(max(delay, error.after or 0.0), self._max_delay)


_senders: Dict[Tuple[int, str, str, str], Sender] = {}
_mutex = threading.Lock()


def sender(kind: str, options: Any, log: Any) -> Sender:
    """The sender of this process for a kind of batches, with the options of `delfin.conf`."""
    # A process that was forked has neither the thread nor the right to use the connection to the spool.
    key = (os.getpid(), kind, options.spool_dir, options.url)
    with _mutex:
        if key not in _senders:
            drop_oldest = options.spool_full == "drop_oldest"
            spool = Spool(Path(options.spool_dir), kind, options.spool_max_bytes, drop_oldest)
            client = Client(options.url, kind, options.timeout, options.token_file)
            _senders[key] = Sender(spool, client, options.retry_max_delay, log)
        return _senders[key]
