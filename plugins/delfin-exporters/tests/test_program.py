from __future__ import annotations

import os
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, List
from unittest import mock

from delfin_plugin import Host, Misconfigured, Retry, build_alerts, build_performance, settings

import program

RECEIVED: List[Any] = []


class Collects:
    def dispatch(self, context: Any, data: Any) -> None:
        RECEIVED.append(data)


class Fails:
    def dispatch(self, context: Any, data: Any) -> None:
        raise KeyError("resource_type")


class Program(unittest.TestCase):
    def setUp(self) -> None:
        RECEIVED.clear()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        self.host = Host("acme", Path(folder.name))

    def settings(self, name: str) -> program.Settings:
        return settings.read(program.Settings, {"class": f"{__name__}:{name}"})

    def test_series_are_metric_tuples_with_numbers_by_time(self) -> None:
        exporter = program.PerformanceExporterDelfin(self.settings("Collects"), self.host)
        batch = build_performance([("iops", {"resource_id": "v1"}, [(1, 1.5), (2, 2.0)])])
        self.assertIsNone(exporter.export(batch))
        (((metric,)),) = RECEIVED
        self.assertEqual(metric, ("iops", {"resource_id": "v1"}, {1: 1.5, 2: 2.0}))
        self.assertEqual((metric.name, metric.labels["resource_id"]), ("iops", "v1"))

    def test_alerts_are_dictionaries(self) -> None:
        exporter = program.AlertExporterDelfin(self.settings("Collects"), self.host)
        self.assertIsNone(exporter.export(build_alerts([(7, {"alert_id": "1", "rack": "r"})])))
        self.assertEqual(RECEIVED, [[{"alert_id": "1", "rack": "r", "occur_time": 7}]])

    def test_the_class_works_in_a_folder_of_its_own(self) -> None:
        program.AlertExporterDelfin(self.settings("Collects"), self.host)
        self.assertEqual(Path.cwd().resolve(), self.host.state_dir.resolve())

    def test_an_exception_repeats_the_rows(self) -> None:
        exporter = program.AlertExporterDelfin(self.settings("Fails"), self.host)
        outcome = exporter.export(build_alerts([(7, {"alert_id": "1"})]))
        self.assertIsInstance(outcome, Retry)
        self.assertEqual(str(outcome), "`dispatch` failed: KeyError: 'resource_type'")

    def test_a_class_that_cannot_be_used_is_a_mistake(self) -> None:
        for path, text in {
            "nowhere:Class": "link the environment of Delfin",
            f"{__name__}:Missing": "cannot import",
            "os:getcwd": "has no `dispatch",
        }.items():
            with self.assertRaises(Misconfigured) as caught:
                program.AlertExporterDelfin(program.Settings(path), self.host)
            self.assertIn(text, str(caught.exception))
        with self.assertRaises(settings.SettingsError):
            settings.read(program.Settings, {"class": "no.colon"})

    def test_a_class_that_needs_delfin_says_what_is_missing(self) -> None:
        hidden = {name: None for name in sys.modules if name == "delfin" or name.startswith("delfin.")}
        with mock.patch.dict(sys.modules, {**hidden, "delfin": None}):
            with self.assertRaises(Misconfigured) as caught:
                program.AlertExporterDelfin(program.Settings("delfin.exporter.example:AlertExporterExample"), self.host)
        self.assertIn("install Delfin for python3", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
