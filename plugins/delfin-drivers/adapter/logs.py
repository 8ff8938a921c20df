"""The log of drivers and of their libraries, without what says nothing."""

from __future__ import annotations

import logging

#: What oslo.log and paramiko add to every record.
_ADDED = ("_threadid", "extra_keys", "global_request_id", "instance", "project", "resource", "version")


class _Filter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        for name in _ADDED:
            vars(record).pop(name, None)
        # It tells of every connection.
        is_detail = record.name.startswith("paramiko") and record.levelno == logging.INFO
        return not is_detail or logging.getLogger().isEnabledFor(logging.DEBUG)


def reduce() -> None:
    """Removes from now on what says nothing."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_Filter())
