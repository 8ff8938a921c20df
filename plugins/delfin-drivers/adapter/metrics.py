"""Metrics of drivers as series: numbers, labels, units, and each point once.

Drivers are asked for a little more than the window, because arrays publish points late. `Delivered` knows which points
of that overlap the host has.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, FrozenSet, Iterable, Optional, Set, Tuple

from delfin_plugin import SeriesBuilder, Window

from . import times, units

#: How far back a driver is asked again, in milliseconds. As in Delfin.
OVERLAP_MS = 60_000

#: How far drivers round times down: a point of a window can be of before its begin.
_ROUNDING_MS = 600_000

#: Resource types that the model does not have.
_RESOURCE_TYPES = {"pool": "storagePool"}

#: A series: its name and its labels, without those that another name of a resource changes.
Key = Tuple[str, FrozenSet[Tuple[str, str]]]
#: The name of a resource: its type, its id.
Name = Callable[[str, str], Optional[str]]


class Delivered:
    """The points that the host has."""

    def __init__(self) -> None:
        self._end_ms: Optional[int] = None
        self._times: Dict[Key, Set[int]] = {}

    def begin(self, window: Window) -> int:
        """Returns from when to ask the driver for this window."""
        before, self._end_ms = self._end_ms, window.end_ms
        if before is None:
            return window.start_ms
        if window.start_ms < before:
            # The host asks again for a window that failed, or that it could not store.
            self._keep(lambda time: time < window.start_ms)
        oldest = window.start_ms - OVERLAP_MS
        self._keep(lambda time: time >= oldest - _ROUNDING_MS)
        return oldest

    def is_new(self, key: Key, time: int) -> bool:
        """Whether the host does not have this point yet. Then it has it from now on."""
        known = self._times.setdefault(key, set())
        if time in known:
            return False
        known.add(time)
        return True

    def _keep(self, wanted: Callable[[int], bool]) -> None:
        kept = {key: {time for time in known if wanted(time)} for key, known in self._times.items()}
        self._times = {key: known for key, known in kept.items() if known}


class Skipped:
    """Counts the points that are left out."""

    def __init__(self) -> None:
        self.no_number = 0
        self.duplicates = 0


def build(
    metrics: Iterable[Any], model: Tuple[str, str], delivered: Delivered, name: Name, skipped: Skipped
) -> SeriesBuilder:
    """A batch of the metrics."""
    builder = SeriesBuilder()
    for metric in metrics:
        labels = {str(key): str(value) for key, value in metric.labels.items() if value is not None}
        resource_type, resource_id = labels.get("resource_type", ""), labels.get("resource_id", "")
        if resource_type in _RESOURCE_TYPES:
            labels["resource_type"] = resource_type = _RESOURCE_TYPES[resource_type]
        if "resource_name" not in labels and resource_id:
            labels["resource_name"] = name(resource_type, resource_id) or resource_id
        factor = units.factor(model, labels.get("unit"))
        own = (label for label in labels.items() if label[0] != "resource_name" or not resource_id)
        key = (str(metric.name), frozenset(own))
        points = _points(metric.values, factor, skipped)
        new = {time: value for time, value in points.items() if delivered.is_new(key, time)}
        skipped.duplicates += len(points) - len(new)
        if new:
            builder.add_columns(str(metric.name), labels, new.keys(), new.values())
    return builder


def _points(values: Dict[Any, Any], factor: float, skipped: Skipped) -> Dict[int, float]:
    points = {}
    for given, value in values.items():
        time, number = times.read(given), _number(value)
        if time is None or number is None:
            skipped.no_number += 1
        else:
            points[time] = number * factor
    return dict(sorted(points.items()))


def _number(value: Any) -> Optional[float]:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
