"""Writes an Arrow IPC stream of one record batch, in the form in which the host writes it.

Only for the columns of the two kinds of batches.
"""

from __future__ import annotations

import struct
from array import array
from typing import Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

# Types in the schema, and kinds of messages.
_INT, _FLOAT, _UTF8, _LIST, _STRUCT, _MAP = 2, 3, 5, 12, 13, 17
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
_VERSION = 4


class Column(NamedTuple):
    """A column with its type: see `text`, `number`, `lists` and `labels`."""

    name: str
    kind: int
    nullable: bool
    length: int
    nulls: int
    #: Bytes, each padded when they are written.
    buffers: List[bytes]
    children: List["Column"] = []
    #: The number of the dictionary, and its texts. Then the buffers are those of the indices.
    dictionary: Optional[Tuple[int, List[str]]] = None


def text(name: str, texts: Sequence[Optional[str]], nullable: bool = False) -> Column:
    encoded = [(text or "").encode("utf-8", "replace") for text in texts]
    nulls = sum(text is None for text in texts)
    bits = bytearray((len(texts) + 7) // 8)
    for row, value in enumerate(texts):
        if value is not None:
            bits[row >> 3] |= 1 << (row & 7)
    buffers = [bytes(bits) if nulls else b"", _offsets(map(len, encoded)), b"".join(encoded)]
    return Column(name, _UTF8, nullable, len(texts), nulls, buffers)


def number(name: str, format: str, values: Iterable[float]) -> Column:
    numbers = values if isinstance(values, array) else array(format, values)
    kind = _INT if format == "q" else _FLOAT
    return Column(name, kind, False, len(numbers), 0, [b"", numbers.tobytes()])


def lists(name: str, lengths: Sequence[int], item: Column) -> Column:
    return Column(name, _LIST, False, len(lengths), 0, [b"", _offsets(lengths)], [item])


class Labels:
    """A column of labels, built row by row: each different text is kept once."""

    def __init__(self) -> None:
        self._lengths = array("i")
        self._keys = _Texts()
        self._values = _Texts()

    def add(self, row: Mapping[str, str]) -> None:
        for key, value in row.items():
            if not isinstance(key, str) or not isinstance(value, str):
                raise TypeError(f"the label `{key}` is {value!r}, not a text")
        for key, value in row.items():
            self._keys.add(key)
            self._values.add(value)
        self._lengths.append(len(row))

    def column(self, name: str, first_dictionary: int = 0) -> Column:
        keys = self._keys.column("keys", first_dictionary)
        values = self._values.column("values", first_dictionary + 1)
        entries = Column("entries", _STRUCT, False, keys.length, 0, [b""], [keys, values])
        rows = len(self._lengths)
        return Column(name, _MAP, False, rows, 0, [b"", _offsets(self._lengths)], [entries])


class _Texts:
    """Different texts, and an index of them for each text."""

    def __init__(self) -> None:
        self._places: Dict[str, int] = {}
        self._indices = array("i")

    def add(self, text: str) -> None:
        self._indices.append(self._places.setdefault(text, len(self._places)))

    def column(self, name: str, number: int) -> Column:
        buffers = [b"", self._indices.tobytes()]
        dictionary = (number, list(self._places))
        return Column(name, _UTF8, False, len(self._indices), 0, buffers, [], dictionary)


def labels(name: str, rows: Iterable[Mapping[str, str]], first_dictionary: int) -> Column:
    built = Labels()
    for row in rows:
        built.add(row)
    return built.column(name, first_dictionary)


def write(columns: Sequence[Column]) -> bytes:
    """The stream."""
    stream = bytearray(_message(_SCHEMA, lambda b: _schema(b, columns), b""))
    for number, texts in _dictionaries(columns):
        values = text("", texts)
        body, batch = _body([values], len(texts))
        header = _dictionary_header(number, batch)
        stream += _message(_DICTIONARY, header, body)
    rows = columns[0].length
    body, batch = _body(columns, rows)
    stream += _message(_BATCH, batch, body)
    return bytes(stream + struct.pack("<Ii", 0xFFFFFFFF, 0))


class _Builder:
    """Writes a flatbuffer from its root on, so that every offset points forward."""

    def __init__(self) -> None:
        self.data = bytearray(4)

    def pad(self, size: int, ahead: int = 0) -> None:
        self.data += bytes(-(len(self.data) + ahead) % size)

    def table(self, *fields: "_Value") -> int:
        self.pad(2)
        start = len(self.data)
        present = [number for number, field in enumerate(fields) if field is not None]
        slots = {number: 8 + 8 * place for place, number in enumerate(present)}
        self.data += struct.pack("<HH", 4 + 2 * len(fields), 8 + 8 * len(present))
        self.data += struct.pack(f"<{len(fields)}H", *(slots.get(n, 0) for n in range(len(fields))))
        self.pad(8)
        at = len(self.data)
        self.data += struct.pack("<ii", at - start, 0) + bytes(8 * len(present))
        for number in present:
            self.put(at + slots[number], fields[number])
        return at

    def put(self, at: int, field: "_Value") -> None:
        if callable(field):
            struct.pack_into("<I", self.data, at, field(self) - at)
        elif field is not None:
            struct.pack_into("<" + field[0], self.data, at, field[1])

    def text(self, value: str) -> int:
        encoded = value.encode("utf-8")
        self.pad(4)
        at = len(self.data)
        self.data += struct.pack("<I", len(encoded)) + encoded + b"\0"
        return at

    def tables(self, items: Sequence["_Child"]) -> int:
        self.pad(4)
        at = len(self.data)
        self.data += struct.pack("<I", len(items)) + bytes(4 * len(items))
        for place, item in enumerate(items):
            self.put(at + 4 + 4 * place, item)
        return at

    def pairs(self, items: Sequence[Tuple[int, int]]) -> int:
        self.pad(8, ahead=4)
        at = len(self.data)
        self.data += struct.pack("<I", len(items))
        self.data += b"".join(struct.pack("<qq", *item) for item in items)
        return at


_Child = Callable[[_Builder], int]
#: A number with its format, a child, or nothing.
_Value = Union[Tuple[str, int], _Child, None]


def _message(kind: int, header: _Child, body: bytes) -> bytes:
    builder = _Builder()
    root = builder.table(("h", _VERSION), ("B", kind), header, ("q", len(body)))
    struct.pack_into("<I", builder.data, 0, root)
    builder.pad(8)
    return struct.pack("<Ii", 0xFFFFFFFF, len(builder.data)) + builder.data + body


def _schema(builder: _Builder, columns: Sequence[Column]) -> int:
    return builder.table(("h", 0), lambda b: b.tables([_field(column) for column in columns]))


def _field(column: Column) -> _Child:
    kinds: Dict[int, _Child] = {
        _INT: lambda b: b.table(("i", 64), ("B", 1)),
        _FLOAT: lambda b: b.table(("h", 2)),
        _MAP: lambda b: b.table(("B", 0)),
    }
    encoding: Optional[_Child] = None
    if column.dictionary is not None:
        number = column.dictionary[0]
        encoding = lambda b: b.table(("q", number), lambda b: b.table(("i", 32), ("B", 1)))
    return lambda b: b.table(
        lambda b: b.text(column.name),
        ("B", int(column.nullable)),
        ("B", column.kind),
        kinds.get(column.kind, lambda b: b.table()),
        encoding,
        lambda b: b.tables([_field(child) for child in column.children]),
    )


def _body(columns: Sequence[Column], rows: int) -> Tuple[bytes, _Child]:
    body = bytearray()
    nodes: List[Tuple[int, int]] = []
    buffers: List[Tuple[int, int]] = []

    def add(column: Column) -> None:
        nodes.append((column.length, column.nulls))
        for buffer in column.buffers:
            buffers.append((len(body), len(buffer)))
            body.extend(buffer)
            body.extend(bytes(-len(body) % 8))
        for child in column.children:
            add(child)

    for column in columns:
        add(column)
    batch: _Child = lambda b: b.table(
        ("q", rows), lambda b: b.pairs(nodes), lambda b: b.pairs(buffers)
    )
    return bytes(body), batch


def _dictionary_header(number: int, batch: _Child) -> _Child:
    return lambda b: b.table(("q", number), batch)


def _dictionaries(columns: Iterable[Column]) -> Iterable[Tuple[int, List[str]]]:
    for column in columns:
        if column.dictionary is not None:
            yield column.dictionary
        yield from _dictionaries(column.children)


def _offsets(lengths: Iterable[int]) -> bytes:
    offsets = array("i", [0])
    end = 0
    for length in lengths:
        end += length
        offsets.append(end)
    return offsets.tobytes()
