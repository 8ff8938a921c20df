"""Delfin's drivers, unmodified, over the protocol of the host, with arrays that replay small answers."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List
from unittest import mock

from delfin_plugin import AlertBatch, PerformanceBatch, manifest
from delfin_plugin.test.host import Outcome, Process

from arrays import models
from arrays.https import HttpsArray
from arrays.ssh import SshArray
from host import ROOT, Host, install, wait_for


class DriverProcess(Process):
    """A process of the plugin, as the host starts it."""

    def __init__(self, plugin: Path, path: str = os.environ["PATH"]) -> None:
        # Some drivers compute times from the time zone of the process.
        with mock.patch.dict(os.environ, PATH=path, TZ="America/New_York"):
            super().__init__(manifest.Manifest(plugin, ["/bin/sh", "run.sh"], "socket", [], {}))

    def open(self, vendor: str, model: str, options: Dict[str, Any], state: Path) -> Outcome:
        names: Dict[str, Any] = {"vendor": vendor, "model": model, "storage_id": "storage-1", "level": "info"}
        return self.call("open", **names, state_dir=str(state), interval_ms=60_000, options=options)

    def __enter__(self) -> DriverProcess:
        super().__enter__()
        return self

    def value(self, name: str, **parameters: Any) -> Any:
        outcome = self.call(name, **parameters)
        if outcome.kind != "result":
            raise AssertionError(f"{name}: {outcome}\n{self.output()}")
        return outcome.value

    def megabytes(self) -> float:
        """The memory that the process uses now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024 / 1e6

    def output(self) -> str:
        return os.pread(self._output.fileno(), 1 << 20, 0).decode()


class Arrays(unittest.TestCase):
    """Starts arrays, and checks a driver against one."""

    plugin: Path
    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(tempfile.mkdtemp(prefix="delfin-drivers-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.plugin = install(ROOT / "plugins" / "delfin-drivers", cls.folder)

    def start(self, array: models.Array, **extra: str) -> Dict[str, Any]:
        """Starts the servers of an array, and returns how to reach it."""
        options: Dict[str, Any] = {"extra_attributes": extra}
        login = {"host": "127.0.0.1", "username": models.NAME, "password": models.PASSWORD}
        if array.routes:
            server = HttpsArray(array.routes, self.folder, array.headers)
            self.addCleanup(server.close)
            options["rest"] = {**login, "port": server.server_port}
            self.https = server
        if array.outputs:
            ssh = SshArray(array.outputs, array.files)
            self.addCleanup(ssh.close)
            options["ssh"] = {**login, "port": ssh.port}
            self.ssh = ssh
        return options

    def state(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))

    def check(self, array: models.Array, options: Dict[str, Any]) -> None:
        with DriverProcess(self.plugin) as process:
            outcome = process.open(array.vendor, array.model, options, self.state())
            self.assertEqual(outcome.kind, "delivered", f"{outcome}\n{process.output()}")
            info = process.value("identify")
            self.assertEqual(info["serial_number"], array.serial_number)
            self.assertGreater(info["capacity"]["total"], info["capacity"]["used"])
            capabilities = process.value("capabilities")
            self.assertEqual(bool(capabilities["metrics"]), array.series is not None)
            if array.series is not None:
                self.check_series(process, array.series)
            process.value("list_alerts")
            (alert,) = AlertBatch(process.payload)
            self.assertEqual(alert.occur_time, models.MINUTE * 1000)
            self.assertEqual({name: alert.texts.get(name) for name in array.alert}, array.alert)
            self.assertEqual(alert.texts["category"], "Fault")
            for hidden in ("storage_id", "vendor", "model"):
                self.assertNotIn(hidden, alert.texts)
            process.value("parse_trap", variables=array.trap)
            (trap,) = AlertBatch(process.payload)
            self.assertIn(array.trap_id, (trap.texts["alert_id"], trap.texts["sequence_number"]))
            self.assertGreater(trap.occur_time, 1_600_000_000_000)
            self.assertNotIn(models.PASSWORD, process.output())
            self.assertLessEqual(process.megabytes(), 60)
            self.assertEqual(process.call("close").kind, "delivered")

    def check_series(self, process: DriverProcess, wanted: Dict[str, Any]) -> None:
        end = (models.MINUTE + 1) * 1000
        points = self.collect(process, wanted, end - 120_000, end)
        self.assertEqual(points, wanted["points"])
        # The next window overlaps, and has nothing new.
        self.assertEqual(self.collect(process, wanted, end, end + 60_000), {})
        # The host asks again for what it could not store.
        self.assertEqual(self.collect(process, wanted, end - 120_000, end), wanted["points"])

    def collect(self, process: DriverProcess, wanted: Dict[str, Any], start: int, end: int) -> Dict[int, float]:
        process.value("collect", start_ms=start, end_ms=end)
        points: Dict[int, float] = {}
        for series in PerformanceBatch(process.payload):
            self.assertIn("unit", series.labels)
            if (series.name, series.labels.get("resource_id")) == (wanted["name"], wanted["resource_id"]):
                self.assertEqual(series.labels["resource_name"], wanted["resource_name"])
                points.update({time: round(value, 9) for time, value in series.points()})
        return points


class Drivers(Arrays):
    def test_every_array_is_identified_measured_and_asked_for_alerts(self) -> None:
        for make in models.ARRAYS:
            array = make()
            with self.subTest(make.__name__):
                self.check(array, self.start(array))

    def test_registered_arrays_arrive_at_an_exporter(self) -> None:
        host = Host(plugins=[ROOT / "plugins" / "delfin-drivers"])
        self.addCleanup(host.remove)
        host.start()
        arrays = [make() for make in models.ARRAYS]
        for array in arrays:
            options = self.start(array)
            if "ssh" in options:
                options["ssh"].update(pub_key_type=self.ssh.key.get_name(), pub_key=self.ssh.key.get_base64())
            registration = {"vendor": array.vendor, "model": array.model, **options}
            storage = host.call("POST", "/v1/storages", registration)
            self.assertTrue(storage["serial_number"].endswith(array.serial_number))
        host.delivered("AlertExporterFile", len(arrays))
        lines = host.lines("alerts.jsonl")
        self.assertEqual({line["alert_id"] for line in lines}, {array.alert["alert_id"] for array in arrays})
        # Only this array measures the present.
        host.delivered("PerformanceExporterFile", 1)
        volumes = wait_for("the volumes", lambda: host.call("GET", "/v1/volumes?name=vol-1")["volumes"])
        self.assertEqual((volumes[0]["native_volume_id"], volumes[0]["total_capacity"]), ("vol-1", 10))
        series = {(line["name"], line["labels"]["serial_number"]) for line in host.lines("performance.jsonl")}
        self.assertIn(("iops", "huawei-sn-1"), series)

    def test_certificates_and_host_keys_are_verified_if_the_registration_says_so(self) -> None:
        array = models.pure()
        options = self.start(array)
        options["extra_attributes"] = {"tls_ca": str(self.https.certificate)}
        self.assertEqual(self.opened(array, options).kind, "delivered")
        options["extra_attributes"] = {"tls_ca": "system"}
        self.assertEqual(self.opened(array, options).kind, "pause")
        options["extra_attributes"] = {"tls_ca": "/nowhere"}
        self.assertIn("`/nowhere` does not exist", self.opened(array, options).message)

        array = models.storwize()
        options = self.start(array)
        options["ssh"].update(pub_key_type=self.ssh.key.get_name(), pub_key=self.ssh.key.get_base64())
        self.assertEqual(self.opened(array, options).kind, "delivered")
        other = type(self.ssh.key).generate()
        options["ssh"].update(pub_key=other.get_base64())
        self.assertNotEqual(self.opened(array, options).kind, "delivered")

    def test_the_login_at_a_new_ontap_also_checks_rest(self) -> None:
        array = models.netapp()
        options = self.start(array)
        self.assertEqual(self.opened(array, options).kind, "delivered")
        self.assertTrue(any(one.startswith("GET /api/cluster/metrics") for one in self.https.requests))

    def opened(self, array: models.Array, options: Dict[str, Any]) -> Outcome:
        with DriverProcess(self.plugin) as process:
            return process.open(array.vendor, array.model, options, self.state())

    def test_a_wrong_password_is_unauthorized_and_an_array_that_is_away_is_tried_again(self) -> None:
        for make in (models.pure, models.storwize):
            array = make()
            options = self.start(array)
            for access in ("rest", "ssh"):
                if access in options:
                    options[access]["password"] = "wrong"
            outcome = self.opened(array, options)
            self.assertEqual((outcome.kind, outcome.detail), ("pause", 1), str(outcome))
        options["ssh"]["port"] = 1
        self.assertEqual(self.opened(array, options).kind, "retry")

    def test_every_driver_of_the_installed_delfin_loads_and_tells_what_it_measures(self) -> None:
        program = ROOT / "tests" / "delfin" / "list_drivers.py"
        lines = run_python(program, self.plugin)
        loaded = dict(line.split(": ", 1) for line in lines)
        self.assertEqual(len(loaded), 15, loaded)
        self.assertEqual(loaded["netapp cmode"], "filesystem 6, port 7, storage 7, storagePool 7, volume 7")
        self.assertEqual(loaded["pure flasharray"], "nothing")

    def test_without_python_or_delfin_one_line_says_so(self) -> None:
        bare = Path(tempfile.mkdtemp(dir=self.folder))
        plugin = install(ROOT / "plugins" / "delfin-drivers", bare, venv=None)
        with DriverProcess(plugin) as process:
            outcome = process.open("pure", "flasharray", {}, self.state())
            self.assertEqual(outcome.kind, "pause")
            self.assertRegex(outcome.message, "^Delfin is not available: No module named '(delfin|oslo_config)' ")
        process = DriverProcess(plugin, path="/nowhere")
        process._process.wait()
        self.assertEqual(process.output(), "Python is not available (install python3)\n")


def run_python(program: Path, *arguments: object) -> List[str]:
    """The lines that a program prints, in the environment of Delfin."""
    command = [str(ROOT / "target" / "delfin" / "bin" / "python"), "-B", "-W", "ignore", str(program), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


if __name__ == "__main__":
    unittest.main()
