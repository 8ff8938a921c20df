"""Batches with generated content, for tests and benchmarks."""

from __future__ import annotations

from array import array
from typing import Dict, List

from . import arrow_writer as arrow
from .batch import AlertBatch, PerformanceBatch
from .builder import build_alerts

#: The time of the first point and of every alert, in milliseconds since the Unix epoch.
START_MS = 1_700_000_000_000

_STORAGE = "0d0a1f6e-2f0b-5c1e-9a55-6a2b6c6f2d10"
_METRICS = (
    ("throughput", "MB/s"),
    ("responseTime", "ms"),
    ("readResponseTime", "ms"),
    ("writeResponseTime", "ms"),
    ("iops", "IOPS"),
    ("readThroughput", "MB/s"),
    ("writeThroughput", "MB/s"),
    ("readIops", "IOPS"),
    ("writeIops", "IOPS"),
    ("cacheHitRatio", "%"),
    ("readCacheHitRatio", "%"),
    ("writeCacheHitRatio", "%"),
    ("ioSize", "KB"),
    ("readIoSize", "KB"),
    ("writeIoSize", "KB"),
)
_SEVERITIES = ("Major", "Critical", "Fatal", "Warning")


def performance(series: int, points: int) -> PerformanceBatch:
    """A batch of series of volumes with so many points each, one per minute."""
    labels: List[Dict[str, str]] = []
    for index in range(series):
        unit = _METRICS[index % len(_METRICS)][1]
        labels.append(
            {
                "storage_id": _STORAGE,
                "name": "sample",
                "serial_number": "SN-0001",
                "resource_type": "volume",
                "resource_id": f"volume_{index // len(_METRICS)}",
                "type": "RAW",
                "unit": unit,
                "value_type": "gauge",
            }
        )
    times = array("q", range(START_MS, START_MS + points * 60_000, 60_000)) * series
    values = array("d", (1 + index % 100 for index in range(points))) * series
    lengths = [points] * series
    columns = [
        arrow.text("name", [_METRICS[index % len(_METRICS)][0] for index in range(series)]),
        arrow.labels("labels", labels, 0),
        arrow.lists("timestamps", lengths, arrow.number("item", "q", times)),
        arrow.lists("values", lengths, arrow.number("item", "d", values)),
    ]
    return PerformanceBatch(arrow.write(columns))


def alerts(count: int) -> AlertBatch:
    """A batch of so many alerts of one storage."""
    rows = (
        {
            "storage_id": _STORAGE,
            "storage_name": "sample",
            "vendor": "sample",
            "model": "sample",
            "serial_number": "SN-0001",
            "alert_id": str(index),
            "alert_name": "Link state down",
            "sequence_number": str(index),
            "category": "Fault",
            "severity": _SEVERITIES[index % len(_SEVERITIES)],
            "type": "CommunicationsAlarm",
            "resource_type": "Storage",
            "location": f"NetworkEntity=entity{index}",
            "description": "Backend link has gone down",
            "recovery_advice": "Recheck the network configuration setting.",
        }
        for index in range(count)
    )
    return build_alerts((START_MS, row) for row in rows)
