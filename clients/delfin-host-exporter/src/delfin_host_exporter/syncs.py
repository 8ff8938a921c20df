"""Knows whether a dispatch is a complete list of a storage's alerts.

Delfin dispatches a trap and an alert sync in the same way, and an empty list not at all. So this module wraps
`AlertSyncTask.sync_alerts`, and notes during the call which storage is asked, whether for all its alerts, and what the
driver returned.
"""

from __future__ import annotations

import contextvars
import functools
import sys
from typing import Any, Callable, Optional

_MODULE = "delfin.task_manager.tasks.alerts"


class _Sync:
    def __init__(self, storage_id: str, query: Any) -> None:
        self.storage_id = storage_id
        # The API passes an empty query, or one with zeros, where there is no range.
        values = query.values() if isinstance(query, dict) else [query]
        self.is_complete = not any(values)
        self.is_empty = False


_current: contextvars.ContextVar[Optional[_Sync]] = contextvars.ContextVar("sync", default=None)


def complete_for() -> Optional[str]:
    """The storage whose alert sync is the caller, if the sync has no time range."""
    sync = _current.get()
    return sync.storage_id if sync is not None and sync.is_complete else None


def watch(on_empty: Callable[[str], None], log: Any) -> None:
    """Wraps the alert syncs of this process, if it makes any.

    `on_empty` is called after a sync that found no alert.
    """
    task = getattr(sys.modules.get(_MODULE), "AlertSyncTask", None)
    if task is None or hasattr(task.sync_alerts, "on_empty"):
        return
    original = task.sync_alerts

    @functools.wraps(original)
    def sync_alerts(self: Any, ctx: Any, storage_id: str, query_para: Any) -> Any:
        sync = _Sync(storage_id, query_para)
        token = _current.set(sync)
        manager = self.driver_manager
        self.driver_manager = _Noting(manager, sync)
        try:
            result = original(self, ctx, storage_id, query_para)
        finally:
            self.driver_manager = manager
            _current.reset(token)
        if sync.is_complete and sync.is_empty:
            try:
                on_empty(storage_id)
            except Exception:
                # As Delfin does when an exporter fails.
                log.exception("cannot export that storage %s has no alerts", storage_id)
        return result

    sync_alerts.on_empty = on_empty  # type: ignore[attr-defined]
    task.sync_alerts = sync_alerts


class _Noting:
    """The driver manager of a sync, which notes whether the list of alerts is empty."""

    def __init__(self, manager: Any, sync: _Sync) -> None:
        self._manager = manager
        self._sync = sync

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manager, name)

    def list_alerts(self, *args: Any, **kwargs: Any) -> Any:
        alerts = self._manager.list_alerts(*args, **kwargs)
        # Some drivers return nothing where they cannot list.
        self._sync.is_empty = alerts is not None and not len(alerts)
        return alerts
