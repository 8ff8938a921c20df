"""Batches that exporters have failed on before."""

from __future__ import annotations

import math
import sys
from typing import Union

from ..batch import AlertBatch, PerformanceBatch
from ..builder import build_alerts, build_performance
from ..sample import START_MS, alerts, performance

AnyBatch = Union[PerformanceBatch, AlertBatch]

#: Texts that are hard to escape, to split or to display.
_AWKWARD = (
    "",
    " ",
    '"quoted" \\back\\slash',
    "line\nbreak\r\n\ttab",
    "comma, equals=sign, {braces}",
    "nul\0 and \x1b[31m escape",
    "grüße 数据 🦀",
    "\u202eright to left\ufeff",
    "%s %d ${env:HOME} ' ; DROP TABLE",
    "x" * 65_536,
)


def empty(kind: str) -> AnyBatch:
    return build_alerts([]) if kind == "alert" else build_performance([])


def one(kind: str) -> AnyBatch:
    return alerts(1) if kind == "alert" else performance(1, 1)


def few(kind: str) -> AnyBatch:
    return alerts(10) if kind == "alert" else performance(10, 3)


def large(kind: str) -> AnyBatch:
    """A million points, or 50,000 alerts."""
    return alerts(50_000) if kind == "alert" else performance(10_000, 100)


def awkward(kind: str) -> AnyBatch:
    """Awkward texts everywhere, and a row without labels or texts."""
    if kind == "alert":
        names = ("alert_id", "alert_name", "description")
        rows = [{**dict.fromkeys(names, text), text: "value"} for text in _AWKWARD]
        return build_alerts([*((START_MS, row) for row in rows), (0, {})])
    series = [
        ("iops", {"storage_id": text, "resource_id": text, text: "value"}, [(START_MS, 1.0)])
        for text in _AWKWARD
    ]
    bare = [("no labels", {}, [(START_MS, 1.0)]), ("no points", {"storage_id": "s"}, [])]
    return build_performance([*series, *bare])


def non_finite() -> PerformanceBatch:
    """NaN, infinite values, and the smallest and the largest time."""
    values = [math.nan, math.inf, -math.inf, sys.float_info.max, sys.float_info.min, -0.0, 1.0]
    labels = {"storage_id": "s", "resource_type": "disk", "resource_id": "d"}
    times = [(-(1 << 63), 1.0), (0, 2.0), ((1 << 63) - 1, 3.0)]
    points = [(START_MS + ms, value) for ms, value in enumerate(values)]
    return build_performance([("iops", labels, points), ("iops", labels, times)])
