"""Builds batches: what a driver measures, and batches for tests of an exporter."""

from __future__ import annotations

from array import array
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from . import arrow_writer as arrow
from .batch import TEXT_COLUMNS, AlertBatch, PerformanceBatch

#: A name, the labels, and pairs of a time and a value.
NewSeries = Tuple[str, Mapping[str, str], Iterable[Tuple[int, float]]]
#: The time, and texts: a name that is not in `TEXT_COLUMNS` is an additional field.
NewAlert = Tuple[int, Mapping[str, str]]


class SeriesBuilder:
    """Builds a performance batch, series by series.

    Times are milliseconds since the Unix epoch. A driver leaves out the labels of its storage
    (`storage_id`, `name` and `serial_number`): the host adds them.
    """

    def __init__(self) -> None:
        self._names: List[str] = []
        self._labels = arrow.Labels()
        self._lengths = array("i")
        self._times = array("q")
        self._values = array("d")

    def __len__(self) -> int:
        """The number of series."""
        return len(self._names)

    @property
    def items(self) -> int:
        """The number of points."""
        return len(self._times)

    def add(
        self,
        name: str,
        resource_type: str,
        resource_id: str,
        unit: str,
        points: Iterable[Tuple[int, float]],
        **labels: str,
    ) -> None:
        """Adds the points of a metric of a resource: pairs of a time and a value.

        The resource types of the host are `storage`, `storagePool`, `volume`, `controller`,
        `port`, `disk` and `filesystem`. Further labels are possible, as `resource_name`.
        """
        own = {"resource_type": resource_type, "resource_id": resource_id, "unit": unit}
        pairs = list(points)
        times, values = [time for time, _ in pairs], [value for _, value in pairs]
        self.add_columns(name, {**own, **labels}, times, values)

    def add_columns(
        self,
        name: str,
        labels: Mapping[str, str],
        times: Iterable[int],
        values: Iterable[float],
    ) -> None:
        """Adds a series whose times and values are two columns of the same length.

        Arrays and other buffers of 64-bit integers and floating-point numbers are copied as they
        are; of anything else, each number is read.
        """
        before = len(self._times)
        try:
            _extend(self._times, "ql", times)
            _extend(self._values, "d", values)
            if len(self._times) != len(self._values):
                counts = f"{len(self._times) - before} times and {len(self._values) - before} values"
                raise ValueError(f"the series `{name}` has {counts}")
            self._labels.add(labels)
        except (TypeError, ValueError, OverflowError):
            del self._times[before:], self._values[before:]
            raise
        self._names.append(name)
        self._lengths.append(len(self._times) - before)

    def build(self) -> PerformanceBatch:
        """The batch."""
        columns = [
            arrow.text("name", self._names),
            self._labels.column("labels"),
            arrow.lists("timestamps", self._lengths, arrow.number("item", "q", self._times)),
            arrow.lists("values", self._lengths, arrow.number("item", "d", self._values)),
        ]
        return PerformanceBatch(arrow.write(columns))


class AlertBuilder:
    """Builds an alert batch.

    A driver leaves out the columns of its storage (`storage_id`, `storage_name`, `vendor`, `model`
    and `serial_number`): the host adds them.
    """

    def __init__(self) -> None:
        self._times = array("q")
        self._texts: List[Dict[str, str]] = []
        self._extra = arrow.Labels()

    def __len__(self) -> int:
        """The number of alerts."""
        return len(self._texts)

    def add(self, occur_time: int, texts: Optional[Mapping[str, Any]] = None, **more: Any) -> None:
        """Adds an alert that began at a time, in milliseconds since the Unix epoch.

        `texts` and the further parameters are its columns: see `TEXT_COLUMNS`. A name that is not
        a column is an additional field. Numbers become texts; `None` is as if it were absent.
        """
        given = {**(texts or {}), **more}
        present = {name: str(text) for name, text in given.items() if text is not None}
        self._times.append(occur_time)
        self._texts.append({name: present[name] for name in TEXT_COLUMNS if name in present})
        extra = {name: text for name, text in present.items() if name not in TEXT_COLUMNS}
        self._extra.add(extra)

    def build(self) -> AlertBatch:
        """The batch."""
        columns = [
            arrow.text(name, [texts.get(name) for texts in self._texts], nullable=True)
            for name in TEXT_COLUMNS
        ]
        columns.append(arrow.number("occur_time", "q", self._times))
        columns.append(self._extra.column("extra"))
        return AlertBatch(arrow.write(columns))


def build_performance(series: Iterable[NewSeries]) -> PerformanceBatch:
    """A batch of these series. Times are milliseconds since the Unix epoch."""
    builder = SeriesBuilder()
    for name, labels, points in series:
        pairs = list(points)
        builder.add_columns(name, labels, (time for time, _ in pairs), (value for _, value in pairs))
    return builder.build()


def build_alerts(alerts: Iterable[NewAlert]) -> AlertBatch:
    """A batch of these alerts. Times are milliseconds since the Unix epoch."""
    builder = AlertBuilder()
    for time, texts in alerts:
        builder.add(time, texts)
    return builder.build()


def _extend(numbers: Any, formats: str, added: Iterable[float]) -> None:
    """Extends an array, by a copy of the memory where the numbers have its format."""
    try:
        view = memoryview(added)  # type: ignore[arg-type]
    except TypeError:
        numbers.extend(added)
        return
    if view.format in formats and view.itemsize == 8 and view.contiguous:
        numbers.frombytes(view.cast("B"))
    else:
        numbers.extend(view)
