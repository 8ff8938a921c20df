"""Delfin's own exporter classes behind a real host."""

from __future__ import annotations

import http.server
import json
import re
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any, Dict, List

from delfin_plugin.test import conformance

from host import ROOT, Host, install, wait_for

PLUGIN = ROOT / "plugins" / "delfin-exporters"

CONFIG = """
performance_exporters = ["prometheus", "example", "broken"]
alert_exporters = ["alertmanager"]

[log]
levels = { example = "debug" }

[exporter.prometheus]
plugin = "PerformanceExporterDelfin"
[exporter.prometheus.config]
class = "delfin.exporter.prometheus.exporter:PerformanceExporterPrometheus"
delfin_conf = "@/delfin-exporter.conf"

[exporter.example]
plugin = "PerformanceExporterDelfin"
[exporter.example.config]
class = "delfin.exporter.example:PerformanceExporterExample"

[exporter.broken]
plugin = "PerformanceExporterDelfin"
[exporter.broken.config]
class = "delfin.exporter.base_exporter:BaseExporter"

[exporter.alertmanager]
plugin = "AlertExporterDelfin"
[exporter.alertmanager.config]
class = "delfin.exporter.prometheus.exporter:AlertExporterPrometheus"
delfin_conf = "@/delfin-exporter.conf"
"""

SERIES = [
    {
        "name": "iops",
        "labels": {
            "storage_id": "1",
            "name": "array",
            "serial_number": "sn",
            "resource_type": "volume",
            "resource_id": f"v{number}",
            "unit": "IOPS",
        },
        "values": {"1700000000000": number + 0.5, "1700000060000": number},
    }
    for number in range(3)
]

ALERT = {
    "storage_id": "1",
    "alert_id": "7",
    "alert_name": "fan",
    "severity": "Major",
    "category": "Fault",
    "type": "EquipmentAlarm",
    "sequence_number": "7",
    "occur_time": 1_700_000_000_000,
    "description": "a fan failed",
}


class Alertmanager(http.server.BaseHTTPRequestHandler):
    received: List[Any] = []

    def do_POST(self) -> None:
        self.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Exporters(unittest.TestCase):
    def test_the_plugin_passes_the_conformance_suite(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            conformance(install(PLUGIN, Path(folder)))

    def test_delfins_own_classes_write_what_the_host_has(self) -> None:
        receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Alertmanager)
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        self.addCleanup(receiver.server_close)
        self.addCleanup(receiver.shutdown)
        host = Host(CONFIG, [PLUGIN])
        self.addCleanup(host.remove)
        metrics = host.folder / "metrics"
        (host.folder / "delfin-exporter.conf").write_text(
            f"[PROMETHEUS_EXPORTER]\nmetrics_dir = {metrics}\n"
            f"[PROMETHEUS_ALERT_MANAGER_EXPORTER]\nalert_manager_host = 127.0.0.1\n"
            f"alert_manager_port = {receiver.server_port}\n"
        )
        host.start()
        host.call("POST", "/v1/ingest/performance", SERIES)
        host.call("POST", "/v1/ingest/alerts", [ALERT])

        host.delivered("prometheus", 6)
        (file,) = metrics.glob("*.prom")
        self.assertEqual(samples(file), samples_of(SERIES))

        host.delivered("example", 6)
        wait_for("the line of the example", lambda: "PerformanceExporterExample, report data: [Metric(" in host.log())

        host.delivered("alertmanager", 1)
        (((alert,)),) = Alertmanager.received
        self.assertEqual(alert["labels"]["alert_name"], "fan")
        self.assertEqual(alert["labels"]["occur_time"], "1700000000000")
        self.assertEqual(alert["annotations"]["summary"], "a fan failed")

        broken = wait_for("an error", lambda: host.exporter("broken")["last_error"] and host.exporter("broken"))
        self.assertEqual((broken["state"], broken["pending"]), ("retrying", 6))
        self.assertIn("`dispatch` failed: NotImplementedError", broken["last_error"])


def samples(file: Path) -> Dict[str, float]:
    found = {}
    for line in file.read_text().splitlines():
        if not line.startswith("#"):
            series, value, time = line.rsplit(" ", 2)
            resource = re.search('resource_id="([^"]*)"', series)
            assert resource is not None and series.startswith("volume_iops{") and 'storage_name="array"' in series
            found[f"{resource[1]} {time}"] = float(value)
    return found


def samples_of(series: List[Any]) -> Dict[str, float]:
    return {
        f"{one['labels']['resource_id']} {time}": value for one in series for time, value in one["values"].items()
    }


if __name__ == "__main__":
    unittest.main()
