"""Batches: columns, rows, and parts of a payload."""

import unittest

from delfin_plugin import (
    AlertBatch,
    PerformanceBatch,
    build_alerts,
    build_performance,
    sample,
)
from delfin_plugin.arrow import ArrowError
from delfin_plugin.arrow_writer import number, write

SERIES = [
    ("iops", {"storage_id": "s", "unit": "IOPS"}, [(1, 2.0), (2, 3.0)]),
    ("empty", {}, []),
    ("größe", {"storage_id": "s2"}, [(-5, 1.5)]),
]


class Batches(unittest.TestCase):
    def test_rows_are_what_was_built(self) -> None:
        batch = build_performance(SERIES)
        rows = [(row.name, row.labels, list(row.points())) for row in batch]
        self.assertEqual(rows, SERIES)
        self.assertEqual((len(batch), batch.items), (3, 3))

    def test_columns_have_each_label_text_once(self) -> None:
        batch = sample.performance(60, 4)
        labels = batch.labels
        self.assertEqual(len(labels.keys.texts), 8)
        self.assertEqual(len(labels.keys.indices), 60 * 8)
        self.assertEqual(labels.column("resource_id")[0:60:15], [f"volume_{n}" for n in range(4)])
        self.assertEqual(labels.column("none"), [None] * 60)
        self.assertEqual(sum(batch.values.items), sum(sum(row.values) for row in batch))

    def test_a_part_of_a_payload_has_its_rows_only(self) -> None:
        whole = build_performance(SERIES)
        part = PerformanceBatch(whole.payload, rows=(1, 2))
        rows = [(row.name, row.labels, list(row.points())) for row in part]
        self.assertEqual(rows, SERIES[1:])
        self.assertEqual((part.items, list(part.values.items)), (1, [1.5]))
        self.assertEqual(list(part.values.offsets), [0, 0, 1])
        self.assertEqual(part.labels.column("storage_id"), [None, "s2"])
        alerts = build_alerts([(1, {"alert_id": "a"}), (2, {"alert_id": "b", "rack": "r"})])
        (last,) = AlertBatch(alerts.payload, rows=(1, 1))
        self.assertEqual((last.texts, last.occur_time, last.extra), ({"alert_id": "b"}, 2, {"rack": "r"}))
        with self.assertRaisesRegex(ArrowError, "does not have all rows"):
            PerformanceBatch(whole.payload, rows=(2, 2))

    def test_an_absent_text_is_none_and_an_empty_one_is_not(self) -> None:
        batch = build_alerts([(0, {"alert_id": ""}), (0, {})])
        self.assertEqual(list(batch.texts("alert_id")), ["", None])
        self.assertEqual([row.get("alert_id") for row in batch], ["", None])

    def test_columns_stay_valid_after_the_batch(self) -> None:
        items = sample.performance(10, 10).values.items
        self.assertEqual(items[0], 1.0)

    def test_damaged_payloads_are_errors(self) -> None:
        payload = build_performance(SERIES).payload
        for wrong in (b"", b"x" * 64, payload[:64], payload[: len(payload) - 16]):
            with self.assertRaises((ArrowError, IndexError, OverflowError, Exception)):
                list(PerformanceBatch(wrong))
        with self.assertRaisesRegex(ArrowError, "column `name` is missing"):
            list(PerformanceBatch(write([number("other", "q", [1])])))


if __name__ == "__main__":
    unittest.main()
