"""A driver in a process: its answers, its batches and its failures."""

import json
import os
import sys
import tempfile
import json
import unittest
from array import array
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from delfin_plugin import AlertBatch, AlertBuilder, PerformanceBatch, SeriesBuilder, manifest
from delfin_plugin.frames import Message
from delfin_plugin.test import conformance
from delfin_plugin.test.host import Process

FOLDER = Path(__file__).parent / "meter.plugin"
EXAMPLE = Path(__file__).parents[1] / "examples/array.plugin"

# The plugin finds the kit as this test does.
os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "src")


class DriverProcess(Process):
    """Opens the driver."""

    def __init__(self, extra: Optional[Dict[str, Any]] = None, model: str = "meter") -> None:
        command = [sys.executable, "-B", "driver.py"]
        super().__init__(manifest.Manifest(FOLDER, command, "socket", [], {}))
        self.extra = extra or {}
        self.model = model

    def __enter__(self) -> "DriverProcess":
        super().__enter__()
        folder = tempfile.TemporaryDirectory()
        self._folders.append(folder)
        self.open(self.model)
        return self

    def open(self, model: str) -> str:
        outcome = self.call(
            "open",
            vendor="acme",
            model=model,
            storage_id="id-1",
            state_dir=self._folders[0].name,
            level="info",
            interval_ms=60_000,
            options={"rest": {"host": "array"}, "extra_attributes": self.extra},
        )
        return str(outcome)


def collect(series: int) -> Tuple[Message, PerformanceBatch]:
    with DriverProcess({"series": series}) as process:
        process.call("collect", start_ms=60_000, end_ms=120_000)
        return process.answer, PerformanceBatch(process.payload)


class Drivers(unittest.TestCase):
    def test_what_a_driver_says_about_its_storage(self) -> None:
        with DriverProcess() as process:
            process.call("identify")
            value = process.answer["value"]
            self.assertEqual((value["name"], value["serial_number"]), ("id-1 array", "sn"))
            self.assertEqual((value["capacity"]["total"], value["capacity"]["free"]), (5, 0))
            self.assertNotIn("vendor", value)
            process.call("capabilities")
            value = process.answer["value"]
            metric = {"name": "iops", "unit": "IOPS", "description": ""}
            self.assertEqual(value["metrics"], {"volume": [metric]})
            self.assertEqual((value["is_historic"], value["retention_ms"]), (True, 3_600_000))

    def test_a_small_batch_is_inline_and_a_large_one_shared(self) -> None:
        for series, shared in ((2, False), (2000, True)):
            answer, batch = collect(series)
            self.assertEqual((answer["type"], "shared" in answer), ("result", shared))
            self.assertEqual(len(batch), series)
            row = next(iter(batch))
            self.assertEqual((row.name, list(row.points())), ("iops", [(60_000, 1.5)]))
            self.assertEqual(row.labels["resource_id"], "v0")
            self.assertEqual(row.labels["resource_name"], "volume 0")

    def test_alerts_and_traps(self) -> None:
        with DriverProcess() as process:
            for call in ("list_alerts", "parse_trap"):
                process.call(call, variables={"1.3": "x"})
                (alert,) = AlertBatch(process.payload)
                self.assertEqual((alert.occur_time, alert.get("sequence_number")), (7, "12"))
                self.assertEqual(alert.extra, {"rack": "r1"} if call == "list_alerts" else {})
            process.call("list_alerts", start_ms=8, end_ms=9)
            self.assertEqual(len(AlertBatch(process.payload)), 0)

    def test_a_long_list_of_resources_is_a_payload(self) -> None:
        with DriverProcess() as process:
            process.call("list_resources", kind="disks")
            self.assertEqual(process.answer["value"][0], {"native_disk_id": 7, "capacity": "12"})
            process.call("list_resources", kind="volumes")
            self.assertEqual(len(json.loads(bytes(process.payload))), 3000)

    def test_failures_have_their_class_and_what_is_missing_is_unsupported(self) -> None:
        with DriverProcess() as process:
            self.assertEqual(process.call("clear_alert", sequence_number="1").kind, "delivered")
            outcome = process.call("clear_alert", sequence_number="login")
            self.assertEqual((outcome.kind, outcome.detail), ("pause", 1))
            outcome = process.call("list_resources", kind="qtrees")
            self.assertEqual(outcome.kind, "unsupported")
            outcome = process.call("clear_alert", sequence_number="bug")
            self.assertEqual((outcome.kind, outcome.detail), ("restart", 1))
            self.assertIn("no driver for vendor `acme`, model `x`", process.open("x"))

    def test_a_driver_that_was_refused_has_nothing_to_close(self) -> None:
        with DriverProcess(model="x") as process:
            self.assertEqual(process.call("close").kind, "delivered")

    def test_only_the_call_that_is_cancelled_sees_it(self) -> None:
        with DriverProcess() as process:
            call = {"type": "clear_alert", "id": 7, "deadline_ms": 9_000}
            process._write({**call, "sequence_number": "wait"})
            process.cancel()
            answer: Message = {}
            while answer.get("id") != 7:
                answer = process._read("the cancelled call").message
            self.assertEqual(answer["message"], "cancelled")
            outcome = process.call("clear_alert", sequence_number="is cancelled?")
            self.assertEqual(outcome.message, "not cancelled")


class DriverSuite(unittest.TestCase):
    def test_the_example_conforms(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "array.json"
            volumes = [{"id": f"v{number}", "name": "v", "iops": 1.5} for number in range(2000)]
            alerts = [{"id": 7, "name": "Fan failed", "time_ms": 1}]
            content = {"name": "a", "serial_number": "1", "volumes": volumes, "alerts": alerts}
            file.write_text(json.dumps(content))
            conformance(EXAMPLE, {"extra_attributes": {"file": str(file)}})

    def test_a_driver_that_fails_is_named_with_the_check(self) -> None:
        for mode, why in (("login", "the password p is wrong"), ("exit", "exit code 3")):
            with self.assertRaises(AssertionError) as failed:
                conformance(FOLDER, {"mode": mode, "rest": {"password": "p"}})
            text = str(failed.exception)
            self.assertIn("acme meter: measures_what_it_declares:", text)
            self.assertIn(why, text)
            self.assertNotIn("lists_alerts", text)


    def test_an_unknown_key_of_the_manifest_is_refused_with_its_name(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            text = (EXAMPLE / "plugin.toml").read_text() + "timeout_second = 5\n"
            (Path(folder) / "plugin.toml").write_text(text)
            with self.assertRaisesRegex(manifest.ManifestError, "drivers.timeout_second"):
                conformance(Path(folder))


class Builders(unittest.TestCase):
    def test_columns_of_any_kind_become_the_same_series(self) -> None:
        columns = (
            ([1, 2], [0.5, 1]),
            (array("q", [1, 2]), array("d", [0.5, 1])),
            (memoryview(array("q", [1, 2])), array("f", [0.5, 1])),
            ((time for time in (1, 2)), array("l", [0, 1])),
        )
        for times, values in columns:
            builder = SeriesBuilder()
            builder.add_columns("iops", {"unit": "IOPS"}, times, values)
            (series,) = builder.build()
            self.assertEqual(list(series.timestamps), [1, 2])
            self.assertEqual(series.values[1], 1)

    def test_a_refused_series_leaves_the_builder_as_it_was(self) -> None:
        builder = SeriesBuilder()
        wrong: Any = [
            ({}, [1], [1, 2]),
            ({}, [1], [None]),
            ({"unit": None}, [1], [1]),
        ]
        for labels, times, values in wrong:
            with self.assertRaises((TypeError, ValueError)):
                builder.add_columns("x", labels, times, values)
        builder.add("iops", "volume", "v1", "IOPS", [(1, 2)])
        (series,) = builder.build()
        self.assertEqual(list(series.points()), [(1, 2.0)])
        self.assertEqual(builder.items, 1)

    def test_texts_of_alerts_are_texts(self) -> None:
        builder = AlertBuilder()
        builder.add(3, {"alert_id": 17, "location": None}, rack=2)
        (alert,) = builder.build()
        self.assertEqual((alert.texts, alert.extra), ({"alert_id": "17"}, {"rack": "2"}))


if __name__ == "__main__":
    unittest.main()
