"""A driver for tests. Its mode says what it does when it should measure."""

import logging
import os
import time
from datetime import timedelta
from typing import Any, Dict, List, Optional

from delfin_plugin import (
    AlertBuilder,
    Capabilities,
    Driver,
    MetricInfo,
    Retry,
    SeriesBuilder,
    StorageInfo,
    Unauthorized,
    Window,
    run,
)


class Rubbish(SeriesBuilder):
    """What is not a batch."""

    def __init__(self, payload: bytes) -> None:
        super().__init__()
        self.payload = payload

    def build(self) -> Any:
        return self


class Meter(Driver):
    MODELS = [("acme", "meter"), ("acme", "hasty")]

    def identify(self) -> StorageInfo:
        rest = self.storage.access("rest")
        host = rest.host if rest else ""
        return StorageInfo(name=f"{self.storage.id} {host}", serial_number="sn", total_capacity=5)

    def capabilities(self) -> Capabilities:
        metrics = {"volume": [MetricInfo("iops", "IOPS")]}
        return Capabilities(metrics, is_historic=True, retention=timedelta(hours=1))

    def collect(self, window: Window) -> SeriesBuilder:
        mode = self.storage.options.get("mode", "")
        if mode == "exit":
            os._exit(3)
        if mode == "hang":
            time.sleep(3600)
        if mode == "bad":
            return Rubbish(b"\xff\xff\xff\xffrubbish")
        if mode == "much":
            return Rubbish(bytes(2 << 20))
        if mode == "login":
            password = self.storage.options["rest"]["password"]
            logging.warning("login with %s", password)
            raise Unauthorized(f"the password {password} is wrong")
        series = SeriesBuilder()
        for number in range(int(self.storage.extra.get("series", 1))):
            name = f"volume {number}"
            points = [(window.start_ms, 1.5)]
            series.add("iops", "volume", f"v{number}", "IOPS", points, resource_name=name)
        return series

    def list_alerts(self, window: Optional[Window]) -> AlertBuilder:
        alerts = AlertBuilder()
        if window is None or window.start_ms <= 7 < window.end_ms:
            alerts.add(7, alert_name="a", sequence_number=12, rack="r1")
        return alerts

    def parse_trap(self, variables: Dict[str, str]) -> AlertBuilder:
        alerts = AlertBuilder()
        for text in variables.values():
            alerts.add(7, alert_name=text, sequence_number=12)
        return alerts

    def clear_alert(self, sequence_number: str) -> None:
        if sequence_number == "login":
            raise Unauthorized("wrong password")
        if sequence_number == "bug":
            raise KeyError("bug")
        if sequence_number == "wait":
            while not self.call.cancelled and self.call.remaining():
                time.sleep(0.001)
            raise Retry("cancelled")
        if sequence_number == "is cancelled?":
            raise Retry("cancelled" if self.call.cancelled else "not cancelled")

    def list_resources(self, kind: str) -> List[Dict[str, Any]]:
        if kind == "volumes":
            # Too long for a header.
            return [{"native_volume_id": f"v{number}", "name": 600 * "x"} for number in range(3000)]
        if kind == "disks":
            return [{"native_disk_id": 7, "capacity": "12"}, {"name": "without an id"}]
        if kind == "ports":
            raise Retry("no port answers")
        return super().list_resources(kind)


if __name__ == "__main__":
    run(Meter)
