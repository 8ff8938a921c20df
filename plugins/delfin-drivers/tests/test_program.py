from __future__ import annotations

import os
import tempfile
import unittest
from collections import namedtuple
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional
from unittest import mock

import program
from adapter import loading, ssh
from delfin_plugin import AlertBatch, DriverHost, Failure, Misconfigured, Rejected, Retry, Storage, Unsupported, Window

Metric = namedtuple("Metric", "name labels values")
T0 = 1_700_000_000_000
WINDOW = Window(T0, T0 + 60_000)
LABELS = {"resource_type": "volume", "resource_id": "v1", "unit": "IOPS"}
ALERT = {"alert_id": "1", "alert_name": "fan", "occur_time": T0}
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIGJoe3Pz5kVYkzC9cmpGMlVBzi7oPfXYcVb9Wb1kqXcZ"


class IncompleteTrapInformation(Exception):
    """As Delfin's."""


class ComponentNotFound(Exception):
    """As Delfin's."""


class FakeDriver:
    """As a driver of Delfin: what a test sets, and how it was asked."""

    #: What the functions return or raise, by their name.
    results: Dict[str, Any] = {}
    calls: List[Any] = []
    opened: int = 0

    def __init__(self, **parameters: Any) -> None:
        FakeDriver.opened += 1
        FakeDriver.calls.append(("__init__", parameters))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in FakeDriver.results:
            raise AttributeError(name)
        return lambda context, *arguments: FakeDriver.answer(name, *arguments)

    @staticmethod
    def parse_alert(context: Any, variables: Dict[str, str]) -> Any:
        return FakeDriver.answer("parse_alert", variables)

    @staticmethod
    def answer(name: str, *arguments: Any) -> Any:
        FakeDriver.calls.append((name, *arguments))
        result = FakeDriver.results[name]
        if isinstance(result, Exception):
            raise result
        return result


class Program(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        self.folder = Path(folder.name)
        FakeDriver.calls, FakeDriver.opened = [], 0
        FakeDriver.results = {
            "get_storage": {"serial_number": "sn", "firmware_version": "9.10.1", "total_capacity": 1},
            "get_capabilities": {"is_historic": True, "resource_metrics": {"volume": {"iops": {"unit": "IOPS"}}}},
            "collect_perf_metrics": [Metric("iops", LABELS, {T0: 1})],
            "list_volumes": [{"native_volume_id": "v1", "name": "data"}],
            "list_alerts": [ALERT],
        }
        for name, replacement in {"prepare": lambda: None, "load": lambda *model: FakeDriver}.items():
            patch = mock.patch.object(loading, name, replacement)
            patch.start()
            self.addCleanup(patch.stop)

    def driver(self, vendor: str = "acme", **options: Any) -> program.DelfinDriver:
        counted: Dict[str, int] = {}
        self.counted = counted
        driver = program.DelfinDriver(Storage("1", vendor, "array", options), DriverHost(self.folder, counted.__setitem__))
        driver.identify()
        driver.capabilities()
        return driver

    def asked(self, name: str) -> List[Any]:
        return [call[1:] for call in FakeDriver.calls if call[0] == name]

    def points(self, driver: program.DelfinDriver, window: Window = WINDOW) -> Dict[str, List[int]]:
        found = driver.collect(window).build()
        return {series.labels["resource_name"]: [time for time, _ in series.points()] for series in found}

    def test_names_are_listed_once_and_a_list_that_fails_costs_only_the_names(self) -> None:
        driver = self.driver()
        self.assertEqual(self.points(driver), {"data": [T0]})
        self.points(driver, Window(T0 + 60_000, T0 + 120_000))
        self.assertEqual(len(self.asked("list_volumes")), 1)
        for failing in (OSError("away"), [None], 7):
            FakeDriver.results["list_volumes"] = failing
            self.assertEqual(self.points(self.driver()), {"v1": [T0]})

    def test_drivers_that_compare_versions_get_one_that_they_know(self) -> None:
        self.driver("netapp")
        self.assertEqual(self.asked("get_capabilities"), [({"firmware_version": "9.9"},)])

    def test_a_driver_is_asked_for_all_alerts_and_those_of_the_window_are_selected(self) -> None:
        driver = self.driver()
        for window, count in ((None, 1), (WINDOW, 1), (Window(T0 - 1, T0), 0)):
            self.assertEqual(len(driver.list_alerts(window)), count)
        self.assertEqual(self.asked("list_alerts"), [(None,)] * 3)

    def test_a_trap_that_names_no_alert_makes_the_driver_list_them(self) -> None:
        driver = self.driver()
        FakeDriver.results["parse_alert"] = IncompleteTrapInformation("refresh")
        (alert,) = AlertBatch(driver.parse_trap({"1.3": "x"}).build().payload)
        self.assertEqual(alert.texts["alert_name"], "fan")
        self.assertEqual(self.asked("parse_alert"), [({"1.3": "x", "storage_id": "1"},)])
        FakeDriver.results["parse_alert"] = KeyError("1.3.6")
        with self.assertRaises(Retry):
            driver.parse_trap({})

    def test_after_an_error_the_driver_logs_in_again(self) -> None:
        driver = self.driver()
        FakeDriver.results["list_alerts"] = RuntimeError("the session has ended")
        with self.assertRaisesRegex(Retry, "RuntimeError: the session has ended"):
            driver.list_alerts(None)
        FakeDriver.results["list_alerts"] = []
        driver.list_alerts(None)
        self.assertEqual(FakeDriver.opened, 2)

    def test_what_a_driver_does_not_have_is_unsupported_and_no_error_of_the_session(self) -> None:
        driver = self.driver()
        with self.assertRaises(Unsupported):
            driver.list_resources("quotas")
        FakeDriver.results["list_alerts"] = NotImplementedError()
        with self.assertRaises(NotImplementedError):
            driver.list_alerts(None)
        self.assertEqual(FakeDriver.opened, 1)

    def test_answers_that_are_not_those_of_a_driver_are_refused_in_one_line(self) -> None:
        cases: Dict[str, Any] = {
            "get_storage": {"serial_number": "sn", "total_capacity": "much"},
            "collect_perf_metrics": [None],
            "list_alerts": [None],
        }
        for name, answer in cases.items():
            driver = self.driver()
            FakeDriver.results[name] = answer
            with self.assertRaisesRegex(Rejected, "^the [a-z ]+ of the driver cannot be read: [A-Za-z]+Error: .+$"):
                driver.identify() if name == "get_storage" else None
                driver.collect(WINDOW) if name == "collect_perf_metrics" else driver.list_alerts(None)
            FakeDriver.results["get_storage"] = {"serial_number": "sn"}

    def test_the_points_of_a_window_that_cannot_be_read_are_delivered_with_the_next(self) -> None:
        driver = self.driver()
        good = FakeDriver.results["collect_perf_metrics"]
        FakeDriver.results["collect_perf_metrics"] = [*good, None]
        with self.assertRaises(Rejected):
            driver.collect(WINDOW)
        FakeDriver.results["collect_perf_metrics"] = good
        self.assertEqual(self.points(driver), {"data": [T0]})

    def test_points_that_are_left_out_are_counted(self) -> None:
        FakeDriver.results["collect_perf_metrics"] = [Metric("iops", LABELS, {T0: 1, T0 + 1: None, -5: 1, "x": 1})] * 2
        driver = self.driver()
        self.points(driver)
        self.assertEqual(self.counted, {"points_without_number": 6, "repeated_points": 1})

    def test_a_missing_program_of_the_vendor_is_a_mistake_of_the_setup(self) -> None:
        FakeDriver.results["get_storage"] = ComponentNotFound("naviseccli")
        with self.assertRaisesRegex(Misconfigured, "naviseccli"):
            self.driver()

    def test_files_of_the_array_are_in_the_folder_of_the_storage(self) -> None:
        self.driver()
        self.assertEqual(Path.cwd(), self.folder.resolve())
        self.assertTrue((self.folder / "delfin/drivers/utils/performance_file/svc").is_dir())

    def access(self, **options: Any) -> Any:
        self.driver(**options)
        ((parameters,),) = self.asked("__init__")
        FakeDriver.calls.clear()
        return parameters

    def test_certificates_and_keys_are_verified_if_the_registration_names_them(self) -> None:
        rest = {"host": "h", "port": 1}
        for ca, verify in ((None, False), ("system", True), (str(self.folder), str(self.folder))):
            given = self.access(rest=rest, extra_attributes={"tls_ca": ca} if ca else {})
            self.assertEqual((given["rest"], given["verify"]), (rest, verify))
        with self.assertLogs(level="WARNING") as logged:
            self.assertNotIn("pub_key", self.access(ssh={"host": "h", "pub_key": ""})["ssh"])
        self.assertIn("host key of the storage is not verified", "".join(logged.output))
        self.assertEqual(self.access(ssh={"pub_key": KEY})["ssh"]["pub_key_type"], "ssh-ed25519")

    def test_a_host_key_that_cannot_be_read_is_a_mistake(self) -> None:
        def refusal(key: str, kind: Optional[str]) -> Optional[Failure]:
            try:
                ssh.check({"pub_key": key, "pub_key_type": kind})
            except Misconfigured as failure:
                return failure
            return None

        self.assertIsNone(refusal(KEY, "ssh-ed25519"))
        for key, kind in (("AAAA", "ssh-ed25519"), (KEY, "ssh-rsa"), ("no key", None), ("", None)):
            self.assertIn("`pub_key` is not a host key", str(refusal(key, kind)))


if __name__ == "__main__":
    unittest.main()
