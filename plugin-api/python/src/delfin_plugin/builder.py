"""Builds batches: for tests of an exporter."""

from __future__ import annotations

from typing import Iterable, Mapping, Tuple

from . import arrow_writer as arrow
from .batch import TEXT_COLUMNS, AlertBatch, PerformanceBatch

#: A name, the labels, and pairs of a time and a value.
NewSeries = Tuple[str, Mapping[str, str], Iterable[Tuple[int, float]]]
#: The time, and texts: a name that is not in `TEXT_COLUMNS` is an additional field.
NewAlert = Tuple[int, Mapping[str, str]]


def build_performance(series: Iterable[NewSeries]) -> PerformanceBatch:
    """A batch of these series. Times are milliseconds since the Unix epoch."""
    names, labels, lengths = [], [], []
    points: list[tuple[int, float]] = []
    for name, row, added in series:
        before = len(points)
        points.extend(added)
        names.append(name)
        labels.append(row)
        lengths.append(len(points) - before)
    times = arrow.number("item", "q", (time for time, _ in points))
    values = arrow.number("item", "d", (value for _, value in points))
    columns = [
        arrow.text("name", names),
        arrow.labels("labels", labels, 0),
        arrow.lists("timestamps", lengths, times),
        arrow.lists("values", lengths, values),
    ]
    return PerformanceBatch(arrow.write(columns))


def build_alerts(alerts: Iterable[NewAlert]) -> AlertBatch:
    """A batch of these alerts. Times are milliseconds since the Unix epoch."""
    rows = list(alerts)
    columns = [
        arrow.text(name, [texts.get(name) for _, texts in rows], nullable=True)
        for name in TEXT_COLUMNS
    ]
    columns.append(arrow.number("occur_time", "q", (time for time, _ in rows)))
    extra = [
        {name: text for name, text in texts.items() if name not in TEXT_COLUMNS}
        for _, texts in rows
    ]
    columns.append(arrow.labels("extra", extra, 0))
    return AlertBatch(arrow.write(columns))
