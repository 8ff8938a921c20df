from __future__ import annotations

import gzip
import json
import unittest
from collections import namedtuple
from decimal import Decimal
from typing import Any, Dict, List, Tuple
from unittest import mock

from delfin_host_exporter import encode

Metric = namedtuple("Metric", "name labels values")
LABELS = {"storage_id": "1", "resource_type": "volume"}


def text(body: encode.Body) -> Any:
    return json.loads(gzip.decompress(body.content))


class Performance(unittest.TestCase):
    def encode(self, *metrics: Any) -> Tuple[List[Any], encode.Skipped]:
        skipped = encode.Skipped()
        bodies = list(encode.performance(metrics, skipped))
        return [series for body in bodies for series in text(body)], skipped

    def check(self, values: Dict[Any, Any], expected: Dict[str, Any], points: int = 0) -> None:
        good = Metric("iops", LABELS, {1: 1.5})
        series, skipped = self.encode(good, Metric("iops", LABELS, values), good)
        middle = [["iops", LABELS, expected]] if expected else []
        self.assertEqual(series, [["iops", LABELS, {"1": 1.5}], *middle, ["iops", LABELS, {"1": 1.5}]])
        self.assertEqual((skipped.points, skipped.items), (points, 0))

    def test_numbers_stay_as_they_are(self) -> None:
        self.check({1700000000000: 12.5, 1700000060000: 13}, {"1700000000000": 12.5, "1700000060000": 13})

    def test_a_decimal_is_a_number(self) -> None:
        self.check({1: Decimal("0.1")}, {"1": 0.1})

    def test_a_point_without_a_finite_number_costs_no_other_point(self) -> None:
        for value in (None, float("nan"), float("inf"), Decimal("NaN"), "n/a", [1]):
            self.check({1: 2.5, 2: value}, {"1": 2.5}, points=1)
        self.check({1: None}, {}, points=1)

    def test_a_float_time_is_whole(self) -> None:
        self.check({1700000000000.0: None, 1700000000001.0: 1}, {"1700000000001": 1}, points=1)

    def test_an_item_that_is_no_series_costs_no_other_item(self) -> None:
        series, skipped = self.encode(None, ("iops",), Metric("iops", LABELS, {1: 1}), Metric("iops", None, None))
        self.assertEqual(len(series), 1)
        self.assertEqual(skipped.items, 3)

    def test_large_dispatches_become_several_bodies(self) -> None:
        metrics = [Metric("iops", LABELS, {number: 1.5}) for number in range(100)]
        with mock.patch.object(encode, "MAX_BODY", 1000):
            bodies = list(encode.performance(metrics, encode.Skipped()))
        self.assertGreater(len(bodies), 3)
        times = [int(time) for body in bodies for series in text(body) for time in series[2]]
        self.assertEqual(times, list(range(100)))
        self.assertEqual(sum(body.items for body in bodies), 100)

    def test_nothing_is_no_body(self) -> None:
        self.assertEqual(self.encode(), ([], mock.ANY))


class Alerts(unittest.TestCase):
    def test_a_complete_list_names_its_storage(self) -> None:
        body = encode.alerts([{"alert_id": 1}], encode.Skipped(), "12345")
        self.assertEqual(text(body), {"complete_for": "12345", "alerts": [{"alert_id": 1}]})
        self.assertEqual(text(encode.alerts([], encode.Skipped(), "12345"))["alerts"], [])

    def test_a_list_with_an_invalid_alert_is_not_complete(self) -> None:
        skipped = encode.Skipped()
        body = encode.alerts([{"alert_id": 1}, {"alert_id": float("nan")}], skipped, "12345")
        self.assertEqual(text(body), [{"alert_id": 1}])
        self.assertEqual(skipped.items, 1)

    def test_fields_of_other_types_are_text(self) -> None:
        body = encode.alerts([{"alert_id": 1, "match_key": None, "extra": ["a"]}], encode.Skipped())
        self.assertEqual(text(body), [{"alert_id": 1, "match_key": None, "extra": "['a']"}])


if __name__ == "__main__":
    unittest.main()
