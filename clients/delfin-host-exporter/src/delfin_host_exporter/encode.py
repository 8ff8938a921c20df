"""Delfin's items as bodies of the REST ingest: JSON in gzip.

Promises: everything that delfin-host can store arrives as Delfin has it. A point without a finite number
is left out and counted, and costs no other point.
"""

from __future__ import annotations

import gzip
import json
import math
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional

_NUMBERS = {int, float}

#: A body has at most this much text, unless a single item has more.
MAX_BODY = 16 << 20


class Body(NamedTuple):
    """A request."""

    content: bytes
    items: int


class Skipped:
    """Counts what is left out, because JSON and delfin-host have no such value."""

    def __init__(self) -> None:
        self.points = 0
        self.items = 0


def performance(metrics: Iterable[Any], skipped: Skipped) -> Iterator[Body]:
    """The bodies of `Metric` tuples or lists: name, labels, values by milliseconds."""
    texts: List[str] = []
    size = points = 0
    for metric in metrics:
        text, count = _series(metric, skipped)
        if texts and size + len(text) > MAX_BODY:
            yield _body(texts, points)
            texts, size, points = [], 0, 0
        if text:
            texts.append(text)
            size += len(text)
            points += count
    if texts:
        yield _body(texts, points)


def alerts(alerts: Iterable[Dict[str, Any]], skipped: Skipped, complete_for: Optional[str] = None) -> Body:
    """The body of one list of alerts. `complete_for` names the storage whose other alerts have ended."""
    texts = []
    for alert in alerts:
        try:
            texts.append(_json({name: _field(value) for name, value in alert.items()}))
        except (TypeError, ValueError, AttributeError):
            skipped.items += 1
    # An alert that is left out is not absent.
    if complete_for is None or skipped.items:
        return _body(texts, len(texts))
    text = f'{{"complete_for": {_json(complete_for)}, "alerts": [{",".join(texts)}]}}'
    return Body(_gzip(text), len(texts))


def _series(metric: Any, skipped: Skipped) -> "tuple[str, int]":
    try:
        name, labels, values = metric
        count = len(values)
        # Almost every series passes, and Python runs no loop over its points.
        if _NUMBERS.issuperset(map(type, values.values())):
            try:
                return _json((name, labels, values)), count
            except (TypeError, ValueError):
                pass
        labels = {str(key): _label(value) for key, value in labels.items()}
        numbers = {_time(time): number for time, number in _numbers(values)}
        skipped.points += count - len(numbers)
        return (_json((name, labels, numbers)), len(numbers)) if numbers else ("", 0)
    except (TypeError, ValueError, AttributeError):
        skipped.items += 1
        return "", 0


def _numbers(values: Dict[Any, Any]) -> Iterator["tuple[Any, float]"]:
    for time, value in values.items():
        try:
            number = value if type(value) in (int, float) else float(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            yield time, number


def _time(time: Any) -> Any:
    return int(time) if isinstance(time, float) and time.is_integer() else time


def _label(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else str(value)


def _field(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _body(texts: List[str], items: int) -> Body:
    return Body(_gzip(f"[{','.join(texts)}]"), items)


def _gzip(text: str) -> bytes:
    return gzip.compress(text.encode(), compresslevel=1)
