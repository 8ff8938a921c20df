"""A running Delfin as source: its own exporter managers, drivers and tasks, and the package `delfin-host-exporter`."""

from __future__ import annotations

import signal
import sys
import types
import unittest
from typing import Any, Dict, List, Optional

from oslo_config import cfg

# As Delfin's services begin, but for the database: the tasks use it for one thing, the attributes of a storage.
cfg.CONF.register_opt(cfg.StrOpt("delfin_cryptor", default="delfin.cryptor._Base64"))
db = types.ModuleType("delfin.db")
db.storage_get = lambda ctxt, storage_id: STORAGE  # type: ignore[attr-defined,has-type]
sys.modules["delfin.db"] = db

import delfin  # noqa: E402

delfin.db = db

from delfin.drivers import fake_storage  # noqa: E402
from delfin.exporter import base_exporter  # noqa: E402
from delfin.task_manager.tasks import alerts, telemetry  # noqa: E402

from host import Host, wait_for  # noqa: E402

from delfin_host_exporter import syncs  # noqa: E402
from delfin_host_exporter.spool import Spool  # noqa: E402


class Storage(Dict[str, Any]):
    """A row of Delfin's database."""

    __getattr__ = dict.__getitem__


STORAGE = Storage(id="12345", name="array 1", vendor="v", model="m", serial_number='SN-"1"')


class Drivers:
    """Delfin's driver API with one storage."""

    def __init__(self) -> None:
        self.driver = fake_storage.FakeStorageDriver(storage_id="12345")
        self.alerts: Optional[List[Dict[str, Any]]] = None

    def collect_perf_metrics(self, ctxt: Any, storage_id: str, *args: Any) -> Any:
        return self.driver.collect_perf_metrics(ctxt, storage_id, *args)

    def list_alerts(self, ctxt: Any, storage_id: str, query: Any) -> Any:
        return self.driver.list_alerts(ctxt, query) if self.alerts is None else self.alerts


DRIVERS = Drivers()
# The waits of a real array.
fake_storage.greenthread.sleep = lambda seconds: None
fake_storage.RESOURCE_COUNT_DICT.update(volume=100)


def alert(number: int) -> Dict[str, Any]:
    return {
        "alert_id": number,
        "alert_name": f"alert {number}",
        "severity": "Major",
        "category": "Fault",
        "type": "EquipmentAlarm",
        "sequence_number": number,
        "occur_time": 1_700_000_000_000,
    }


class Source(unittest.TestCase):
    def setUp(self) -> None:
        self.host = Host()
        self.addCleanup(self.host.remove)
        self.host.start()
        for kind in ("performance", "alert"):
            cfg.CONF.set_override(f"{kind}_exporters", [f"{kind.capitalize()}ExporterDelfinHost"])
        spool = self.host.folder / "spool"
        options: Dict[str, Any] = {"url": self.host.url, "spool_dir": str(spool), "retry_max_delay": 1}
        for name, value in options.items():
            cfg.CONF.set_override(name, value, group="DELFIN_HOST_EXPORTER")
        self.spool_dir = spool
        DRIVERS.alerts = None

    def spool(self, kind: str) -> Spool:
        return Spool(self.spool_dir, kind, 1 << 30, True)

    def collect(self, start: int) -> List[Any]:
        """Runs Delfin's own task, and returns what it dispatched."""
        task = telemetry.PerformanceCollectionTask()
        self.assertEqual(
            [type(exporter).__name__ for exporter in task.perf_exporter.exporters], ["PerformanceExporterDelfinHost"]
        )
        task.driver_api = DRIVERS
        dispatched: List[Any] = []
        original = task.perf_exporter.dispatch

        def dispatch(ctxt: Any, data: Any) -> None:
            dispatched.extend(data)
            original(ctxt, data)

        task.perf_exporter.dispatch = dispatch
        metrics = DRIVERS.driver.get_capabilities(None)["resource_metrics"]
        task.collect(None, "12345", metrics, start, start + 120_000)
        return dispatched

    def sync(self, query: Any = None, found: Optional[List[Dict[str, Any]]] = None) -> None:
        DRIVERS.alerts = found
        task = alerts.AlertSyncTask()
        task.driver_manager = DRIVERS
        task.sync_alerts(None, "12345", query)

    def active(self) -> List[str]:
        shown = self.host.call("GET", "/v1/alerts/active")["alerts"]
        return sorted(str(one["sequence_number"]) for one in shown)

    def test_every_point_arrives_in_order_also_while_the_host_is_away(self) -> None:
        sent = self.collect(1_700_000_000_000)
        self.host.delivered("PerformanceExporterFile", len(sent) * 2)
        self.host.stop(signal.SIGKILL)
        for minutes in range(2, 8, 2):
            sent += self.collect(1_700_000_000_000 + minutes * 60_000)
        waiting = self.spool("performance").status()
        self.assertEqual(waiting.items, len(sent) * 2 * 3 // 4)
        self.host.start()
        wait_for("an empty spool", lambda: self.spool("performance").status().batches == 0)
        self.host.delivered("PerformanceExporterFile", len(sent) * 2)
        lines = self.host.lines("performance.jsonl")
        self.assertEqual(len(lines), len(sent))
        for line, metric in zip(lines, sent):
            self.assertEqual(line["name"], metric.name)
            self.assertEqual(line["labels"], metric.labels)
            self.assertEqual(line["values"], {str(time): value for time, value in metric.values.items()})
        self.assertEqual(self.spool("performance").counts(), {"sent": len(sent) * 2})

    def test_an_alert_sync_ends_the_alerts_that_it_does_not_list(self) -> None:
        self.sync()
        wait_for("four alerts", lambda: len(self.active()) == 4)
        self.host.delivered("AlertExporterFile", 4)
        for line in self.host.lines("alerts.jsonl"):
            self.assertEqual(line["storage_id"], "12345")
            self.assertEqual(line["serial_number"], 'SN-"1"')
        # A trap, a sync of a time range, and a sync that fails are not complete.
        base_exporter.AlertExporterManager().dispatch(None, {**alert(900), "storage_id": "12345"})
        self.sync({"begin_time": 1, "end_time": 2}, [alert(901)])
        wait_for("both", lambda: {"900", "901"} <= set(self.active()))
        self.assertEqual(len(self.active()), 6)
        self.sync({}, [alert(901)])
        wait_for("the others to end", lambda: self.active() == ["901"])
        # Delfin dispatches nothing here.
        self.sync(None, [])
        wait_for("the last to end", lambda: self.active() == [])
        self.assertIsNone(syncs.complete_for())


if __name__ == "__main__":
    unittest.main()
