"""Passes records of `logging` to the log of the host.

`logger.info("connected", extra={"server": "a:443"})` gives a line with the key `server`.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, List, Tuple

TRACE = 5

_LEVELS = {
    "off": logging.CRITICAL + 1,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}

#: The longest text in a record, in characters. The host closes a connection with an oversized message.
MAX_TEXT = 64 << 10

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class HostHandler(logging.Handler):
    """Writes each record as a `log` message."""

    def __init__(self, write: Callable[[Dict[str, Any]], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(message(record))
        except OSError:
            # The host has ended, and the process soon ends as well.
            pass
        except Exception:
            self.handleError(record)


def message(record: logging.LogRecord) -> Dict[str, Any]:
    """The record as the protocol has it."""
    added = ((key, value) for key, value in vars(record).items() if key not in _OWN)
    fields: List[Tuple[str, str]] = [(key, _cut(str(value))) for key, value in added]
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        fields.append(("error", _cut(f"{type(error).__name__}: {error}")))
        fields.append(("traceback", _cut(logging.Formatter().formatException(record.exc_info))))
    result: Dict[str, Any] = {
        "type": "log",
        "level": _level(record.levelno),
        "target": record.name,
        "message": _cut(record.getMessage()),
    }
    if fields:
        result["fields"] = fields
    return result


def install(write: Callable[[Dict[str, Any]], None]) -> None:
    """Sends every record of the process to the host."""
    root = logging.getLogger()
    root.handlers[:] = [HostHandler(write)]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.addLevelName(TRACE, "TRACE")


def set_level(name: str) -> None:
    """Discards records below a level of the host."""
    logging.getLogger().setLevel(_LEVELS.get(name, logging.INFO))


def _cut(text: str) -> str:
    left_out = len(text) - MAX_TEXT
    return text if left_out <= 0 else f"{text[:MAX_TEXT]}… ({left_out} more characters)"


def _level(number: int) -> str:
    words = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"))
    for level, word in (*words, (logging.DEBUG, "debug")):
        if number >= level:
            return word
    return "trace"
