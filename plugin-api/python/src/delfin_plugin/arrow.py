"""Reads an Arrow IPC stream of one record batch, without copying a column.

Promises: each column is a view of the payload, and the payload is kept as long as one of its
columns. Columns of a type that this module does not know are left out: a newer host can send
more columns. The host is trusted, so offsets are not checked; a wrong one is an exception.

Libraries for Arrow are not used: nanoarrow 0.9 refuses maps with dictionary-encoded keys, and
pyarrow needs 170 MB.
"""

from __future__ import annotations

import struct
import sys
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

Payload = Union[bytes, bytearray, memoryview]

_I16, _U16 = struct.Struct("<h"), struct.Struct("<H")
_I32, _U32, _I64 = struct.Struct("<i"), struct.Struct("<I"), struct.Struct("<q")
_NODE = struct.Struct("<qq")

# Types in the schema.
_INT, _FLOAT, _UTF8, _LIST, _STRUCT, _MAP = 2, 3, 5, 12, 13, 17

# How many buffers the other types have that a column may have and this module does not read:
# binary, bool, decimal, date, time, timestamp, interval, fixed-size binary, fixed-size list,
# duration, large binary, large text, large list.
_SKIPPED = {4: 3, 6: 2, 7: 2, 8: 2, 9: 2, 10: 2, 11: 2, 15: 2, 16: 1, 18: 2, 19: 3, 20: 3, 21: 2}

_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3


class ArrowError(ValueError):
    """The payload is not an Arrow stream of one batch, or a column is missing."""


class Array:
    """A column of a record batch, or a part of one."""

    __slots__ = ("buffers", "children", "dictionary", "length", "nulls")

    def __init__(self, length: int, nulls: int, buffers: List[memoryview]) -> None:
        self.length = length
        self.nulls = nulls
        #: The first one has a bit for each row, 0 for a null; it is empty without nulls.
        self.buffers = buffers
        self.children: Dict[str, Array] = {}
        self.dictionary: Optional[Array] = None

    def times(self) -> memoryview[int]:
        """The numbers of a column of 64-bit integers; format `q`."""
        return self._numbers(8).cast("q")

    def floats(self) -> memoryview[float]:
        """The numbers of a column of 64-bit floating-point numbers; format `d`."""
        return self._numbers(8).cast("d")

    def indices(self) -> memoryview[int]:
        """The indices of a dictionary-encoded column; format `i`."""
        return self._numbers(4).cast("i")

    def offsets(self) -> memoryview[int]:
        """Where each row begins, and the last one ends; format `i`."""
        if self.length == 0:
            return memoryview(b"\0\0\0\0").cast("i")
        return self.buffers[1][: 4 * (self.length + 1)].cast("i")

    def item(self) -> Array:
        """The column of the items of a list."""
        (item,) = self.children.values()
        return item

    def _numbers(self, size: int) -> memoryview:
        numbers = self.buffers[1][: size * self.length]
        if len(numbers) != size * self.length:
            raise ArrowError(f"the numbers of a column do not have {size} bytes each")
        return numbers


class RecordBatch(NamedTuple):
    rows: int
    columns: Dict[str, Array]

    def column(self, name: str) -> Array:
        try:
            return self.columns[name]
        except KeyError:
            raise ArrowError(f"column `{name}` is missing") from None


def read(payload: Payload) -> RecordBatch:
    """Reads the stream."""
    if sys.byteorder != "little":
        raise ArrowError("the machine is big-endian")
    fields: List[_Field] = []
    dictionaries: Dict[int, Array] = {}
    batch: Optional[RecordBatch] = None
    for kind, header, body in _messages(memoryview(payload).cast("B")):
        if kind == _SCHEMA:
            fields = [_Field(table) for table in header.tables(1)]
        elif kind == _DICTIONARY:
            number = header.i64(0)
            field = _with_dictionary(fields, number)
            if field is not None:
                data = _Body(header.table(1), body, dictionaries)
                dictionaries[number] = data.array(field, is_dictionary=True)
        elif kind == _BATCH:
            if batch is not None:
                raise ArrowError("the payload has more than one batch")
            table = header
            batch = RecordBatch(table.i64(0), _Body(table, body, dictionaries).columns(fields))
    if batch is None:
        raise ArrowError("the payload has no batch")
    return batch


def _messages(data: memoryview) -> Iterator[Tuple[int, _Table, memoryview]]:
    at = 0
    while at + 8 <= len(data):
        marker, size = struct.unpack_from("<Ii", data, at)
        if marker != 0xFFFFFFFF:
            raise ArrowError("the payload is not an Arrow stream")
        at += 8
        if size == 0:
            return
        message = _Table.root(data[at : at + size])
        at += size
        length = message.i64(3)
        if at + length > len(data):
            raise ArrowError("the payload is cut off")
        yield message.u8(1), message.table(2), data[at : at + length]
        at += length


class _Table:
    """A table of a flatbuffer."""

    __slots__ = ("at", "data", "fields")

    def __init__(self, data: memoryview, at: int) -> None:
        self.data = data
        self.at = at
        fields = at - _I32.unpack_from(data, at)[0]
        count = (_U16.unpack_from(data, fields)[0] - 4) // 2
        self.fields = struct.unpack_from(f"<{count}H", data, fields + 4)

    @classmethod
    def root(cls, data: memoryview) -> _Table:
        return cls(data, _U32.unpack_from(data, 0)[0])

    def _position(self, field: int) -> int:
        """0 if the field is absent."""
        offset = self.fields[field] if field < len(self.fields) else 0
        return self.at + offset if offset else 0

    def u8(self, field: int) -> int:
        at = self._position(field)
        return self.data[at] if at else 0

    def i16(self, field: int) -> int:
        at = self._position(field)
        return int(_I16.unpack_from(self.data, at)[0]) if at else 0

    def i32(self, field: int) -> int:
        at = self._position(field)
        return int(_I32.unpack_from(self.data, at)[0]) if at else 0

    def i64(self, field: int) -> int:
        at = self._position(field)
        return int(_I64.unpack_from(self.data, at)[0]) if at else 0

    def _target(self, field: int) -> int:
        at = self._position(field)
        return at + int(_U32.unpack_from(self.data, at)[0]) if at else 0

    def has(self, field: int) -> bool:
        return self._position(field) != 0

    def table(self, field: int) -> _Table:
        at = self._target(field)
        if not at:
            raise ArrowError("the payload is not an Arrow stream")
        return _Table(self.data, at)

    def text(self, field: int) -> str:
        at = self._target(field)
        if not at:
            return ""
        (size,) = _U32.unpack_from(self.data, at)
        return str(self.data[at + 4 : at + 4 + size], "utf-8")

    def tables(self, field: int) -> List[_Table]:
        at = self._target(field)
        if not at:
            return []
        (count,) = _U32.unpack_from(self.data, at)
        starts = range(at + 4, at + 4 + 4 * count, 4)
        return [_Table(self.data, start + _U32.unpack_from(self.data, start)[0]) for start in starts]

    def pairs(self, field: int) -> Iterator[Tuple[int, int]]:
        """A vector of structs of two 64-bit numbers."""
        at = self._target(field)
        count = _U32.unpack_from(self.data, at)[0] if at else 0
        return _NODE.iter_unpack(self.data[at + 4 : at + 4 + 16 * count])


class _Field:
    __slots__ = ("children", "dictionary", "kind", "name", "width")

    def __init__(self, table: _Table) -> None:
        self.name = table.text(0)
        self.kind = table.u8(2)
        self.width = table.table(3).i32(0) if self.kind == _INT else 64
        self.dictionary = table.table(4).i64(0) if table.has(4) else None
        if table.has(4) and table.table(4).has(1) and table.table(4).table(1).i32(0) != 32:
            raise ArrowError(f"the indices of `{self.name}` are not 32-bit")
        self.children = [_Field(child) for child in table.tables(5)]


def _with_dictionary(fields: List[_Field], number: int) -> Optional[_Field]:
    for field in fields:
        if field.dictionary == number:
            return field
        inner = _with_dictionary(field.children, number)
        if inner is not None:
            return inner
    return None


class _Unread(Exception):
    """A type whose buffers are not known."""


class _Body:
    """The arrays of a batch, in the order of the fields."""

    def __init__(self, batch: _Table, body: memoryview, dictionaries: Dict[int, Array]) -> None:
        if batch.has(3):
            raise ArrowError("the payload is compressed")
        self.nodes = batch.pairs(1)
        self.buffers = batch.pairs(2)
        self.body = body
        self.dictionaries = dictionaries

    def columns(self, fields: List[_Field]) -> Dict[str, Array]:
        columns = {}
        for field in fields:
            try:
                columns[field.name] = self.array(field)
            except _Unread:
                # Where the next column begins is not known either.
                break
        return columns

    def array(self, field: _Field, is_dictionary: bool = False) -> Array:
        try:
            length, nulls = next(self.nodes)
        except StopIteration:
            raise ArrowError("the payload is not an Arrow stream") from None
        is_index = field.dictionary is not None and not is_dictionary
        array = Array(length, nulls, [self._buffer() for _ in range(_buffers(field, is_index))])
        if is_index:
            array.dictionary = self.dictionaries.get(field.dictionary or 0)
            return array
        for child in field.children:
            array.children[child.name] = self.array(child)
        return array

    def _buffer(self) -> memoryview:
        try:
            offset, length = next(self.buffers)
        except StopIteration:
            raise ArrowError("the payload is not an Arrow stream") from None
        return self.body[offset : offset + length]


def _buffers(field: _Field, is_index: bool) -> int:
    if is_index or field.kind in (_INT, _FLOAT, _LIST, _MAP):
        return 2
    if field.kind == _UTF8:
        return 3
    if field.kind == _STRUCT:
        return 1
    try:
        return _SKIPPED[field.kind]
    except KeyError:
        raise _Unread from None
