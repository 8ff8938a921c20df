"""Reads a folder of Parquet files as one dataset with the partitions of Hive.

`read.py LIBRARIES FOLDER` prints the rows as JSON, one a line: maps as objects, times in milliseconds since the Unix
epoch, and numbers as texts, because JSON has neither NaN nor infinities.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])
import pyarrow as pa  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402


def plain(value, kind):
    if value is None:
        return None
    if pa.types.is_map(kind):
        return dict(value)
    if pa.types.is_timestamp(kind):
        return value
    return repr(value) if pa.types.is_floating(kind) else value


dataset = ds.dataset(sys.argv[2], format="parquet", partitioning=ds.partitioning(flavor="hive"))
table = dataset.to_table()
columns = {}
for field in table.schema:
    column = table[field.name]
    if pa.types.is_timestamp(field.type):
        assert field.type == pa.timestamp("ms", tz="UTC"), field
        column = column.cast(pa.int64())
    columns[field.name] = [plain(value, field.type) for value in column.to_pylist()]
for row in zip(*columns.values()):
    print(json.dumps(dict(zip(columns, row))))
