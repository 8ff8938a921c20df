"""The batches that an exporter gets.

Columns first: a batch of 474,435 points is read in less than a millisecond, and turning it into
Python objects takes seconds. Rows are there for convenience.
"""

from __future__ import annotations

from typing import Dict, Iterator, NamedTuple, Optional, Tuple

from . import arrow
from .call import Call
from .columns import LabelColumn, ListColumn, TextColumn

#: The text columns of an alert.
TEXT_COLUMNS = (
    "storage_id",
    "storage_name",
    "vendor",
    "model",
    "serial_number",
    "alert_id",
    "alert_name",
    "sequence_number",
    "category",
    "severity",
    "type",
    "resource_type",
    "location",
    "description",
    "recovery_advice",
    "match_key",
)


class Series(NamedTuple):
    """One row of a performance batch."""

    name: str
    labels: Dict[str, str]
    #: Milliseconds since the Unix epoch; format `q`.
    timestamps: memoryview[int]
    #: As many as `timestamps`; format `d`.
    values: memoryview[float]

    def points(self) -> Iterator[Tuple[int, float]]:
        """Pairs of a time and a value."""
        return zip(self.timestamps, self.values)


class Alert(NamedTuple):
    """One row of an alert batch."""

    #: The text columns that have a value, by name: see `TEXT_COLUMNS`.
    texts: Dict[str, str]
    #: Milliseconds since the Unix epoch.
    occur_time: int
    #: All other fields.
    extra: Dict[str, str]

    def get(self, name: str) -> Optional[str]:
        """The text of a column or of an additional field."""
        return self.texts.get(name, self.extra.get(name))


class Batch:
    """The rows of one call. The columns stay valid as long as you keep them."""

    def __init__(
        self,
        payload: arrow.Payload,
        call: Optional[Call] = None,
        rows: Optional[Tuple[int, int]] = None,
    ) -> None:
        """A batch of a payload, or of some of its rows: the first one, and how many."""
        #: The Arrow IPC stream: `pyarrow.ipc.open_stream(batch.payload)`. It can have more rows
        #: than the call: the call has `rows` of them from `first_row`.
        self.payload = payload
        self.call = call or Call()
        self.arrow = arrow.read(payload)
        self.first_row, self.rows = rows or (0, self.arrow.rows)
        if self.first_row + self.rows > self.arrow.rows:
            raise arrow.ArrowError("the payload does not have all rows of the call")

    def __len__(self) -> int:
        """The number of rows."""
        return self.rows

    @property
    def items(self) -> int:
        """The number of items: points, or alerts."""
        return self.rows

    def text_column(self, name: str) -> TextColumn:
        return TextColumn(self.arrow.column(name), self.first_row, self.rows)

    def label_column(self, name: str) -> LabelColumn:
        return LabelColumn(self.arrow.column(name), self.first_row, self.rows)


class PerformanceBatch(Batch):
    """Series of points: each row is a series."""

    KIND = "performance"

    @property
    def items(self) -> int:
        """The number of points."""
        return len(self.values.items)

    @property
    def names(self) -> TextColumn:
        """The metric of each row."""
        return self.text_column("name")

    @property
    def labels(self) -> LabelColumn:
        """The labels of each row. Keep the column: each access reads the dictionaries again."""
        return self.label_column("labels")

    @property
    def timestamps(self) -> ListColumn[int]:
        """The times of each row, in milliseconds since the Unix epoch; format `q`."""
        lists = self.arrow.column("timestamps")
        return ListColumn(lists, lists.item().times(), self.first_row, self.rows)

    @property
    def values(self) -> ListColumn[float]:
        """The values of each row; format `d`."""
        lists = self.arrow.column("values")
        return ListColumn(lists, lists.item().floats(), self.first_row, self.rows)

    def __iter__(self) -> Iterator[Series]:
        """Each row as an object: convenient, and slow for large batches."""
        columns = zip(self.names, self.labels, self.timestamps, self.values)
        for name, labels, timestamps, values in columns:
            yield Series(name or "", labels, timestamps, values)


class AlertBatch(Batch):
    """Alerts: each row is an alert."""

    KIND = "alert"

    def texts(self, name: str) -> TextColumn:
        """A text column: see `TEXT_COLUMNS`."""
        return self.text_column(name)

    @property
    def occur_times(self) -> memoryview[int]:
        """Milliseconds since the Unix epoch; format `q`."""
        times = self.arrow.column("occur_time").times()
        return times[self.first_row : self.first_row + self.rows]

    @property
    def extra(self) -> LabelColumn:
        """All other fields of each alert."""
        return self.label_column("extra")

    def __iter__(self) -> Iterator[Alert]:
        columns = [(name, self.texts(name)) for name in TEXT_COLUMNS]
        times, extra = self.occur_times, self.extra
        for row in range(self.rows):
            texts = ((name, column[row]) for name, column in columns)
            present = {name: text for name, text in texts if text is not None}
            yield Alert(present, times[row], extra[row])
