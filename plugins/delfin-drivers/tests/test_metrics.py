from __future__ import annotations

import unittest
from collections import namedtuple
from decimal import Decimal
from typing import Any, Dict, List, Optional, Tuple

from adapter import metrics, netapp, units
from delfin_plugin import Window

Metric = namedtuple("Metric", "name labels values")
T0 = 1_700_000_000_000
MODEL = ("acme", "array")


def labels(**changes: Any) -> Dict[str, Any]:
    return {"storage_id": "1", "resource_type": "volume", "resource_id": "v1", "type": "RAW", "unit": "IOPS", **changes}


class Metrics(unittest.TestCase):
    def setUp(self) -> None:
        self.delivered = metrics.Delivered()
        self.skipped = metrics.Skipped()
        self.names: Dict[Tuple[str, str], str] = {}

    def build(self, *given: Any, model: Tuple[str, str] = MODEL) -> List[Tuple[Dict[str, str], Dict[int, float]]]:
        def name(resource_type: str, resource_id: str) -> Optional[str]:
            return self.names.get((resource_type, resource_id))

        built = metrics.build(given, model, self.delivered, name, self.skipped)
        return [(series.labels, dict(series.points())) for series in built.build()]

    def points(self, values: Dict[Any, Any], model: Tuple[str, str] = MODEL, **changes: Any) -> Dict[int, float]:
        built = self.build(Metric("iops", labels(**changes), values), model=model)
        return built[0][1] if built else {}

    def test_decimals_are_numbers_and_a_missing_value_costs_one_point(self) -> None:
        values = {T0: Decimal("1.5"), T0 + 1: None, T0 + 2: float("nan"), T0 + 3: "2.5", T0 + 4: "n/a"}
        self.assertEqual(self.points(values), {T0: 1.5, T0 + 3: 2.5})
        self.assertEqual(self.skipped.no_number, 3)

    def test_points_are_in_the_order_of_time(self) -> None:
        self.assertEqual(list(self.points({T0 + 60_000: 1, T0: 2})), [T0, T0 + 60_000])

    def test_a_time_in_seconds_is_converted(self) -> None:
        self.assertEqual(self.points({1_700_000_000: 1}), {T0: 1.0})

    def test_a_series_without_points_is_left_out(self) -> None:
        self.assertEqual(self.build(Metric("iops", labels(), {}), Metric("iops", labels(), {T0: None})), [])

    def test_a_missing_name_comes_from_the_list_of_resources_or_is_the_id(self) -> None:
        self.names[("volume", "v1")] = "data"
        named, unnamed = self.build(Metric("a", labels(), {T0: 1}), Metric("b", labels(resource_id="v2"), {T0: 1}))
        self.assertEqual((named[0]["resource_name"], unnamed[0]["resource_name"]), ("data", "v2"))
        (given,) = self.build(Metric("c", labels(resource_name="own"), {T0: 1}))
        self.assertEqual(given[0]["resource_name"], "own")

    def test_a_label_without_a_value_is_absent_and_others_are_texts(self) -> None:
        ((found, _),) = self.build(Metric("a", labels(resource_id=None, resource_name=None, slot=3), {T0: 1}))
        self.assertEqual(found["slot"], "3")
        self.assertFalse({"resource_id", "resource_name"} & set(found))

    def test_a_resource_type_outside_the_model_is_mended(self) -> None:
        ((found, _),) = self.build(Metric("a", labels(resource_type="pool"), {T0: 1}))
        self.assertEqual(found["resource_type"], "storagePool")

    def test_megabytes_are_a_million_bytes(self) -> None:
        two_to_20 = (
            ("dellemc", "powerstore"),
            ("ibm", "storwize_svc"),
            ("inspur", "as5500"),
            ("macrosan", "macrosan"),
            ("netapp", "cmode"),
            ("pure", "flasharray"),
        )
        a_million = (
            ("h3c", "unistor_cf"),
            ("hpe", "3par"),
            ("hpe", "primera"),
            ("huawei", "oceanstor"),
            ("dellemc", "vmax"),
            ("dellemc", "pmax"),
            ("dellemc", "vnx_block"),
        )
        reported = {model: 1.048576 for model in two_to_20}
        reported.update({model: 1.0 for model in a_million})
        reported["dellemc", "unity"] = 0.001
        for number, (model, expected) in enumerate(reported.items()):
            found = self.points({T0 + number: 1}, model=model, unit="MB/s")
            self.assertAlmostEqual(found[T0 + number], expected)
            self.assertEqual(units.factor(model, "IOPS"), 1.0)

    def test_a_time_outside_of_the_model_costs_one_point(self) -> None:
        values = {T0: 1, -1: 1, 253_402_300_800_000: 1, 10**40: 1, "1e999": 1, None: 1, "n/a": 1}
        self.assertEqual(self.points(values), {T0: 1.0})
        self.assertEqual(self.skipped.no_number, 6)

    def test_series_that_differ_in_a_label_are_not_the_same(self) -> None:
        slots = [Metric("iops", labels(resource_id=None, slot=slot), {T0: slot}) for slot in (1, 2)]
        self.assertEqual([points for _, points in self.build(*slots)], [{T0: 1.0}, {T0: 2.0}])
        self.assertEqual(self.build(*slots), [])

    def test_a_resource_that_was_renamed_has_no_points_again(self) -> None:
        self.assertEqual(len(self.build(Metric("iops", labels(resource_name="old"), {T0: 1}))), 1)
        self.assertEqual(self.build(Metric("iops", labels(resource_name="new"), {T0: 1})), [])

    def test_points_of_overlapping_windows_are_delivered_once(self) -> None:
        first = Window(T0, T0 + 120_000)
        self.assertEqual(self.delivered.begin(first), T0)
        self.assertEqual(len(self.points({T0: 1, T0 + 60_000: 1, T0 + 120_000: 1})), 3)
        second = Window(T0 + 120_000, T0 + 240_000)
        self.assertEqual(self.delivered.begin(second), T0 + 60_000)
        # One that the array published late, and one that is new.
        found = self.points({T0 + 60_000: 1, T0 + 90_000: 1, T0 + 120_000: 1, T0 + 180_000: 1})
        self.assertEqual(list(found), [T0 + 90_000, T0 + 180_000])
        self.assertEqual(self.skipped.duplicates, 2)

    def test_a_time_that_the_driver_rounds_down_is_delivered_once(self) -> None:
        # In each window the driver takes the first sample of a minute for the whole minute.
        first, second = Window(T0 + 1, T0 + 120_001), Window(T0 + 120_001, T0 + 180_001)
        minute = T0 + 60_000
        self.delivered.begin(first)
        self.assertEqual(self.points({minute: 1}), {minute: 1.0})
        self.assertGreater(self.delivered.begin(second), minute)
        self.assertEqual(self.points({minute: 9, T0 + 120_000: 2}), {T0 + 120_000: 2.0})

    def test_a_window_that_the_host_could_not_store_is_delivered_again(self) -> None:
        first, second = Window(T0, T0 + 60_000), Window(T0 + 60_000, T0 + 120_000)
        for window in (first, second):
            self.delivered.begin(window)
            self.points({window.start_ms: 1})
        self.delivered.begin(second)
        self.assertEqual(list(self.points({T0: 1, T0 + 60_000: 1})), [T0 + 60_000])

    def test_the_memory_of_points_is_bounded(self) -> None:
        for number in range(100):
            window = Window(T0 + number * 60_000, T0 + (number + 1) * 60_000)
            self.delivered.begin(window)
            self.points({window.start_ms: 1})
        self.assertLessEqual(sum(map(len, self.delivered._times.values())), 13)


class NetApp(unittest.TestCase):
    def test_versions_are_compared_part_by_part_and_end_at_the_newest_known(self) -> None:
        for text, version in {
            "NetApp Release 9.8P1": "9.8",
            "NetApp Release 9.10.1P3": "9.9",
            "NetApp Release 9.1": "9.1",
            "NetApp Release 10.0": "9.9",
            "": "9.0",
        }.items():
            self.assertEqual(netapp.clamp(text), version)


if __name__ == "__main__":
    unittest.main()
