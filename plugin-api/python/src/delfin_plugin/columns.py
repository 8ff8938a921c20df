"""Columns of a batch: views of the payload, and rows as Python objects.

A column of a call is a part of the column in the payload: it begins at the first row of the call.
"""

from __future__ import annotations

from array import array
from typing import Dict, Generic, Iterator, List, Optional, Sequence, TypeVar, Union, overload

from .arrow import Array, ArrowError

Offsets = Sequence[int]

N = TypeVar("N", int, float)


class TextColumn(Sequence[Optional[str]]):
    """Texts, one for each row; `None` where the row has none."""

    def __init__(self, column: Array, first: int, rows: int) -> None:
        self._column = column
        self._first = first
        self._rows = rows
        self._offsets = column.offsets()
        self._data = column.buffers[2]
        self._valid = column.buffers[0] if column.nulls else None

    def __len__(self) -> int:
        return self._rows

    @overload
    def __getitem__(self, row: int) -> Optional[str]: ...
    @overload
    def __getitem__(self, row: slice) -> List[Optional[str]]: ...
    def __getitem__(self, row: Union[int, slice]) -> Union[Optional[str], List[Optional[str]]]:
        if isinstance(row, slice):
            return [self[index] for index in range(*row.indices(self._rows))]
        if not 0 <= row < self._rows:
            raise IndexError("row out of range")
        at = self._first + row
        if self._valid is not None and not self._valid[at >> 3] >> (at & 7) & 1:
            return None
        return str(self._data[self._offsets[at] : self._offsets[at + 1]], "utf-8")

    def __iter__(self) -> Iterator[Optional[str]]:
        return (self[row] for row in range(self._rows))


class TextDictionary:
    """Texts of labels: each different text once, and for each label the index of its text."""

    def __init__(self, column: Array, first: int, end: int) -> None:
        if column.dictionary is None:
            raise ArrowError("a label is not dictionary-encoded")
        texts = TextColumn(column.dictionary, 0, column.dictionary.length)
        #: The different texts, of all rows of the accepted batch.
        self.texts: List[str] = [text or "" for text in texts]
        #: An index of `texts` for each label of the call; format `i`.
        self.indices: memoryview[int] = column.indices()[first:end]


class LabelColumn(Sequence[Dict[str, str]]):
    """Labels, any number for each row.

    Row `i` has the labels from `offsets[i]` to `offsets[i + 1]` of `keys` and `values`.
    """

    def __init__(self, column: Array, first: int, rows: int) -> None:
        # The names of these three are free in Arrow, and only the order is fixed.
        (entries,) = column.children.values()
        keys, values = entries.children.values()
        absolute = column.offsets()[first : first + rows + 1]
        self.offsets: Offsets = _from_zero(absolute)
        self.keys = TextDictionary(keys, absolute[0], absolute[-1])
        self.values = TextDictionary(values, absolute[0], absolute[-1])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, row: int) -> Dict[str, str]: ...
    @overload
    def __getitem__(self, row: slice) -> List[Dict[str, str]]: ...
    def __getitem__(self, row: Union[int, slice]) -> Union[Dict[str, str], List[Dict[str, str]]]:
        if isinstance(row, slice):
            return [self[index] for index in range(*row.indices(len(self)))]
        if not 0 <= row < len(self):
            raise IndexError("row out of range")
        start, end = self.offsets[row], self.offsets[row + 1]
        keys, values = self.keys.texts, self.values.texts
        pairs = zip(self.keys.indices[start:end], self.values.indices[start:end])
        return {keys[key]: values[value] for key, value in pairs}

    def column(self, key: str) -> List[Optional[str]]:
        """The value of one label for each row; `None` where a row does not have it."""
        found: List[Optional[str]] = [None] * len(self)
        wanted = {index for index, text in enumerate(self.keys.texts) if text == key}
        keys, values, texts = self.keys.indices, self.values.indices, self.values.texts
        offsets = self.offsets
        for row in range(len(self)):
            for at in range(offsets[row], offsets[row + 1]):
                if keys[at] in wanted:
                    found[row] = texts[values[at]]
        return found


class ListColumn(Generic[N]):
    """Numbers, any number for each row.

    Row `i` has the numbers from `offsets[i]` to `offsets[i + 1]` of `items`.
    """

    def __init__(self, column: Array, items: memoryview[N], first: int, rows: int) -> None:
        absolute = column.offsets()[first : first + rows + 1]
        self.offsets: Offsets = _from_zero(absolute)
        #: The numbers of all rows of the call, without a copy: `numpy.asarray(column.items)`.
        self.items: memoryview[N] = items[absolute[0] : absolute[-1]]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> memoryview[N]:
        if not 0 <= row < len(self):
            raise IndexError("row out of range")
        return self.items[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[memoryview[N]]:
        return (self[row] for row in range(len(self)))


def _from_zero(offsets: memoryview[int]) -> Offsets:
    """The same distances, beginning at 0. A copy only if the call has a part of the payload."""
    base = offsets[0]
    if base == 0:
        return offsets
    return array("i", (offset - base for offset in offsets))
